// Actor messages to bytes and back. A message is a MessagePack array: for each of its elements the name of its type and
// its value. The list of types is closed: what is not in it cannot be sent, and nothing else is ever made of bytes that
// arrive.
//
//   ["token_chunk", {"request": 7, "epoch": 1, ...}]        ["assign_request", {...}, "actor", [0, 12]]
//
// An actor's handle is [place, id]: place 0 is the sender's node, 1 the receiver's, 24 bytes any other.
#pragma once

#include "base/assert.hpp"
#include "transport/node_id.hpp"
#include "transport/wire/reader.hpp"
#include "transport/wire/writer.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <vector>

#include <caf/all.hpp>

namespace troupe::transport {

/// Turns handles into (node, id) and back; the bridge.
class handle_codec {
 public:
  virtual ~handle_codec() = default;
  /// Makes a local actor known, so that others can write to it.
  virtual void expose(const caf::strong_actor_ptr& local) = 0;
  /// A local actor, or the proxy of a remote one; nullptr when there is none (any more).
  virtual caf::strong_actor_ptr resolve(const node_id& node, std::uint64_t id) = 0;
  virtual const node_id& self() const = 0;
};

node_id to_node_id(const caf::node_id& id);

/// What a message may have: each element costs memory that its bytes do not show.
inline constexpr std::size_t max_message_elements = 64;

class message_codec {
 public:
  message_codec();

  /// T has fields (base/fields.hpp). The name is the wire's: it never changes.
  template <class T>
  void add(std::string name);

  /// False, and `out` in an unknown state, when an element's type is not in the list, or there are too many.
  bool encode(const caf::type_erased_tuple& message, const node_id& to, handle_codec& handles,
              wire::byte_buffer& out) const;
  /// False: the bytes are no message; `failure` says why.
  bool decode(std::span<const std::byte> bytes, const node_id& from, handle_codec& handles, caf::message& message,
              std::string& failure) const;
  /// The message at the beginning of the bytes, and how many of them it takes.
  bool decode_first(std::span<const std::byte> bytes, const node_id& from, handle_codec& handles, caf::message& message,
                    std::size_t& used, std::string& failure) const;

  struct handle_context {
    handle_codec& handles;
    const node_id& other;
  };

 private:
  struct element_type {
    std::string name;
    bool (*encode)(const void* value, wire::writer& out, const handle_context& handles);
    bool (*decode_alone)(wire::reader& in, const handle_context& handles, caf::message& message);
    bool (*decode_next)(wire::reader& in, const handle_context& handles, caf::message_builder& message);
  };

  template <class T>
  element_type make(std::string name);
  template <class T>
  void add_builtin(std::string name);
  void insert(std::unique_ptr<element_type> made, std::uint16_t number, const std::type_info& type);
  const element_type* find(const caf::rtti_pair& type) const;

  std::vector<std::unique_ptr<element_type>> types_;
  std::unordered_map<std::string_view, const element_type*> by_name_;
  std::unordered_map<const std::type_info*, const element_type*> by_type_;
  std::vector<const element_type*> by_number_;  // CAF's own types
};

/// How one element goes over the wire: by its fields, or as the overloads in message_codec.cpp say.
template <class T>
bool encode_element(const T& x, wire::writer& out, const message_codec::handle_context&) {
  out.write(x);
  return true;
}
template <class T>
bool decode_element(T& x, wire::reader& in, const message_codec::handle_context&) {
  return in.read(x);
}

template <class T>
message_codec::element_type message_codec::make(std::string name) {
  using context = const handle_context&;
  return {std::move(name),
          [](const void* value, wire::writer& out, context handles) {
            return encode_element(*static_cast<const T*>(value), out, handles);
          },
          [](wire::reader& in, context handles, caf::message& message) {
            T x{};
            if (!decode_element(x, in, handles)) return false;
            message = caf::make_message(std::move(x));
            return true;
          },
          [](wire::reader& in, context handles, caf::message_builder& message) {
            T x{};
            if (!decode_element(x, in, handles)) return false;
            message.append(std::move(x));
            return true;
          }};
}

template <class T>
void message_codec::add(std::string name) {
  insert(std::make_unique<element_type>(make<T>(std::move(name))), 0, typeid(T));
}

}  // namespace troupe::transport
