#include "transport/bridge/message_codec.hpp"

#include <cstring>
#include <utility>

namespace troupe::transport {

namespace {

using handle_context = const message_codec::handle_context&;

// Places of a handle.
constexpr std::uint8_t at_sender = 0;
constexpr std::uint8_t at_receiver = 1;

}  // namespace

bool encode_element(const caf::strong_actor_ptr& x, wire::writer& out, handle_context handles) {
  out.begin_array(2);
  const node_id node = x ? to_node_id(x->node()) : handles.handles.self();
  if (node == handles.handles.self()) {
    if (x) handles.handles.expose(x);
    out.write(at_sender);
  } else if (node == handles.other) {
    out.write(at_receiver);
  } else {
    out.write(std::vector<std::byte>(node.bytes.begin(), node.bytes.end()));
  }
  out.write(static_cast<std::uint64_t>(x ? x->id() : 0));
  return true;
}

bool decode_element(caf::strong_actor_ptr& x, wire::reader& in, handle_context handles) {
  std::uint32_t n = 0;
  if (!in.begin_array(n)) return false;
  if (n != 2) return in.fail("a handle has a place and an id");
  node_id node;
  if (in.at_bytes()) {
    std::vector<std::byte> bytes;
    if (!in.read(bytes)) return false;
    if (bytes.size() != node.bytes.size()) return in.fail("a node's id has 24 bytes");
    std::memcpy(node.bytes.data(), bytes.data(), bytes.size());
  } else {
    std::uint8_t place = 0;
    if (!in.read(place)) return false;
    if (place != at_sender && place != at_receiver) return in.fail("a handle's place is 0, 1 or a node's id");
    node = place == at_sender ? handles.other : handles.handles.self();
  }
  std::uint64_t id = 0;
  if (!in.read(id)) return false;
  x = id == 0 ? nullptr : handles.handles.resolve(node, id);
  return true;
}

bool encode_element(const caf::actor& x, wire::writer& out, handle_context handles) {
  return encode_element(caf::actor_cast<caf::strong_actor_ptr>(x), out, handles);
}
bool decode_element(caf::actor& x, wire::reader& in, handle_context handles) {
  caf::strong_actor_ptr any;
  if (!decode_element(any, in, handles)) return false;
  x = caf::actor_cast<caf::actor>(any);
  return true;
}

bool encode_element(const caf::actor_addr& x, wire::writer& out, handle_context handles) {
  return encode_element(caf::actor_cast<caf::strong_actor_ptr>(x), out, handles);
}
bool decode_element(caf::actor_addr& x, wire::reader& in, handle_context handles) {
  caf::strong_actor_ptr any;
  if (!decode_element(any, in, handles)) return false;
  x = caf::actor_cast<caf::actor_addr>(any);
  return true;
}

bool encode_element(const caf::atom_value& x, wire::writer& out, handle_context) {
  out.write(caf::to_string(x));
  return true;
}
bool decode_element(caf::atom_value& x, wire::reader& in, handle_context) {
  std::string_view text;
  if (!in.read(text)) return false;
  if (text.size() > 10) return in.fail("an atom has at most ten characters");
  x = caf::atom_from_string(std::string(text));
  return true;
}

bool encode_element(const caf::unit_t&, wire::writer& out, handle_context) {
  out.begin_array(0);
  return true;
}
bool decode_element(caf::unit_t&, wire::reader& in, handle_context) {
  return in.skip();
}

bool encode_element(const std::vector<char>& x, wire::writer& out, handle_context) {
  out.write_bytes(std::as_bytes(std::span(x)));
  return true;
}
bool decode_element(std::vector<char>& x, wire::reader& in, handle_context) {
  std::span<const std::byte> bytes;
  if (!in.read(bytes)) return false;
  x.resize(bytes.size());
  if (!bytes.empty()) std::memcpy(x.data(), bytes.data(), bytes.size());
  return true;
}

/// [code, category, text]; what else an error may carry stays at home.
bool encode_element(const caf::error& x, wire::writer& out, handle_context) {
  out.begin_array(3);
  out.write(x ? x.code() : std::uint8_t{0});
  out.write(x ? caf::to_string(x.category()) : std::string());
  out.write(x && x.context().match_elements<std::string>() ? x.context().get_as<std::string>(0) : std::string());
  return true;
}
bool decode_element(caf::error& x, wire::reader& in, handle_context handles) {
  std::uint32_t n = 0;
  std::uint8_t code = 0;
  caf::atom_value category{};
  std::string text;
  if (!in.begin_array(n)) return false;
  if (n != 3) return in.fail("an error has a code, a category and a text");
  if (!in.read(code) || !decode_element(category, in, handles) || !in.read(text)) return false;
  if (code == 0) {
    x = {};
  } else if (text.empty()) {
    x = caf::error(code, category);
  } else {
    x = caf::error(code, category, caf::make_message(std::move(text)));
  }
  return true;
}

bool encode_element(const caf::exit_msg& x, wire::writer& out, handle_context handles) {
  return encode_element(x.source, out, handles) && encode_element(x.reason, out, handles);
}
bool decode_element(caf::exit_msg& x, wire::reader& in, handle_context handles) {
  return decode_element(x.source, in, handles) && decode_element(x.reason, in, handles);
}

node_id to_node_id(const caf::node_id& id) {
  node_id made;
  if (!id) return made;
  const auto* const data = dynamic_cast<const caf::node_id::default_data*>(&*id);
  TROUPE_ASSERT(data != nullptr, "nodes are named by random bytes");
  const auto host = data->host_id();
  const auto process = data->process_id();
  static_assert(sizeof host + sizeof process == sizeof made.bytes);
  std::memcpy(made.bytes.data(), host.data(), sizeof host);
  std::memcpy(made.bytes.data() + sizeof host, &process, sizeof process);
  return made;
}

message_codec::message_codec() : by_number_(caf::type_nrs + 1, nullptr) {
  add_builtin<bool>("bool");
  add_builtin<std::int8_t>("int8");
  add_builtin<std::int16_t>("int16");
  add_builtin<std::int32_t>("int32");
  add_builtin<std::int64_t>("int64");
  add_builtin<std::uint8_t>("uint8");
  add_builtin<std::uint16_t>("uint16");
  add_builtin<std::uint32_t>("uint32");
  add_builtin<std::uint64_t>("uint64");
  add_builtin<float>("float");
  add_builtin<double>("double");
  add_builtin<std::string>("string");
  add_builtin<std::vector<char>>("bytes");
  add_builtin<caf::unit_t>("unit");
  add_builtin<caf::atom_value>("atom");
  add_builtin<caf::actor>("actor");
  add_builtin<caf::actor_addr>("actor_address");
  add_builtin<caf::strong_actor_ptr>("actor_pointer");
  add_builtin<caf::error>("error");
  add_builtin<caf::exit_msg>("exit");
}

template <class T>
void message_codec::add_builtin(std::string name) {
  insert(std::make_unique<element_type>(make<T>(std::move(name))), caf::type_nr<T>::value, typeid(T));
}

void message_codec::insert(std::unique_ptr<element_type> made, std::uint16_t number, const std::type_info& type) {
  TROUPE_ASSERT(!by_name_.contains(made->name), "every type of the wire has a name of its own");
  by_name_.emplace(made->name, made.get());
  if (number != 0)
    by_number_[number] = made.get();
  else
    by_type_.emplace(&type, made.get());
  types_.push_back(std::move(made));
}

const message_codec::element_type* message_codec::find(const caf::rtti_pair& type) const {
  if (type.first != 0) return by_number_[type.first];
  const auto found = by_type_.find(type.second);
  return found == by_type_.end() ? nullptr : found->second;
}

bool message_codec::encode(const caf::type_erased_tuple& message, const node_id& to, handle_codec& handles,
                           wire::byte_buffer& out) const {
  if (message.size() > max_message_elements) return false;
  wire::writer writer(out);
  writer.begin_array(static_cast<std::uint32_t>(2 * message.size()));
  message_codec::handle_context context{handles, to};
  for (std::size_t i = 0; i < message.size(); ++i) {
    const element_type* const type = find(message.type(i));
    if (type == nullptr) return false;
    writer.write(std::string_view(type->name));
    if (!type->encode(message.get(i), writer, context)) return false;
  }
  return true;
}

bool message_codec::decode(std::span<const std::byte> bytes, const node_id& from, handle_codec& handles,
                           caf::message& message, std::string& failure) const {
  std::size_t used = 0;
  if (!decode_first(bytes, from, handles, message, used, failure)) return false;
  if (used == bytes.size()) return true;
  failure = "bytes behind the end of a message";
  return false;
}

bool message_codec::decode_first(std::span<const std::byte> bytes, const node_id& from, handle_codec& handles,
                                 caf::message& message, std::size_t& used, std::string& failure) const {
  wire::reader reader(bytes);
  message_codec::handle_context context{handles, from};
  const auto fail = [&](std::string why) {
    failure = std::move(why);
    return false;
  };
  std::uint32_t n = 0;
  if (!reader.begin_array(n)) return fail(reader.failure());
  if (n % 2 != 0) return fail("a message is made of names and values");
  if (n > 2 * max_message_elements) return fail("a message has at most 64 elements");
  caf::message_builder builder;
  for (std::uint32_t i = 0; i < n; i += 2) {
    std::string_view name;
    if (!reader.read(name)) return fail(reader.failure());
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return fail("no type is called '" + std::string(name.substr(0, 40)) + "'");
    const bool decoded = n == 2 ? found->second->decode_alone(reader, context, message)
                                : found->second->decode_next(reader, context, builder);
    if (!decoded) return fail(std::string(name) + ": " + reader.failure());
  }
  used = bytes.size() - reader.left();
  if (n != 2) message = builder.to_message();
  return true;
}

}  // namespace troupe::transport
