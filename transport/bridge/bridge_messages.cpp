// What the bridge sends for proxies, and what it does with what comes from other bridges.
#include "transport/bridge/bridge.hpp"
#include "transport/bridge/message_head.hpp"
#include "transport/bridge/remote_monitor.hpp"

#include <cstring>
#include <utility>

#include <caf/default_attachable.hpp>

namespace troupe::transport {
namespace {

// CAF's own bouncer knows no reason but one.
void bounce(const caf::strong_actor_ptr& sender, caf::message_id id, caf::sec why) {
  if (sender && id.is_request())
    sender->enqueue(nullptr, id.response_id(), caf::make_message(caf::make_error(why)), nullptr);
}

// One for each thread that sends: it grows to the largest message and stays.
wire::byte_buffer& scratch() {
  thread_local wire::byte_buffer buffer;
  buffer.clear();
  return buffer;
}

/// Takes the links between two actors away without telling either.
void unlink(const caf::actor_addr& one, const caf::strong_actor_ptr& other) {
  using observer = caf::default_attachable::observe_token;
  const auto source = caf::actor_cast<caf::strong_actor_ptr>(one);
  if (!source) return;
  source->get()->detach(observer{other->get()->address(), caf::default_attachable::link});
  other->get()->detach(observer{one, caf::default_attachable::link});
}

}  // namespace

// --- out ----------------------------------------------------------------------------------------------------------

void bridge::send(const peer_pointer& to, const message_head& head, std::span<const std::byte> content) {
  auto& buffer = scratch();
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  buffer.append(content);
  mesh_->send(to, buffer.bytes());
}

void bridge::send_text(const peer_pointer& to, const message_head& head, const std::string& text) {
  auto& buffer = scratch();
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  wire::writer(buffer).write(text);
  mesh_->send(to, buffer.bytes());
}

bool bridge::encode_letter(const peer_pointer& to, const caf::mailbox_element& letter, wire::byte_buffer& out) {
  if (letter.sender && letter.sender->node() != system_.node() &&
      !options_->codec.encode(caf::make_message(letter.sender), to->node(), *this, out))
    return false;
  if (!letter.stages.empty()) {
    caf::message_builder path;
    for (const auto& stage : letter.stages)
      path.append(stage);
    if (!options_->codec.encode(path.to_message(), to->node(), *this, out)) return false;
  }
  return options_->codec.encode(letter.content(), to->node(), *this, out);
}

void bridge::send_letter(const peer_pointer& to, std::uint64_t target, caf::mailbox_element& letter,
                         std::uint64_t ended) {
  auto& buffer = scratch();
  message_head head;
  if (!letter.stages.empty()) head.flags |= letter_flags::has_path;
  head.message_id = letter.mid.integer_value();
  if (letter.sender && letter.sender->node() != system_.node())
    head.flags |= letter_flags::has_sender;
  else if (letter.sender)
    head.source = letter.sender->id();
  if (ended != 0) {
    head.flags |= letter_flags::by_link;
    head.source = ended;
  }
  head.target = target;
  std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
  if (!encode_letter(to, letter, buffer))
    return refuse_letter(to, head, letter.sender, "it has an element of a type that is not of the wire");
  if (buffer.size() > max_message_bytes) return refuse_letter(to, head, letter.sender, "it is too large");
  if (head.source != 0 && ended == 0) {
    expose(letter.sender);
    if (letter.mid.is_request()) requests_.add(to.get(), letter.sender, letter.mid.response_id());
  }
  if (!mesh_->send(to, buffer.bytes())) {
    requests_.remove(head.source, letter.mid.response_id());
    bounce(letter.sender, letter.mid, caf::sec::request_receiver_down);
  }
}

/// Who asked hears of it, and who waits for an answer that cannot be sent.
void bridge::refuse_letter(const peer_pointer& to, const message_head& head, const caf::strong_actor_ptr& sender,
                           std::string_view why) {
  if (options_->on_event) options_->on_event("not sent", to_string(to->node()), why);
  const auto id = caf::make_message_id(head.message_id);
  if (!id.is_response()) return bounce(sender, id, caf::sec::invalid_argument);
  auto& buffer = scratch();
  message_head answer = head;
  answer.flags = 0;
  std::memcpy(buffer.extend(sizeof answer), &answer, sizeof answer);
  options_->codec.encode(caf::make_message(caf::make_error(caf::sec::invalid_argument)), to->node(), *this, buffer);
  mesh_->send(to, buffer.bytes());
}

void bridge::send_link(const peer_pointer& to, bool link, caf::strong_actor_ptr local, std::uint64_t remote) {
  mesh_->post([=, this] {
    expose(local);
    message_head head;
    head.kind = link ? message_kind::link : message_kind::unlink;
    head.source = local->id();
    head.target = remote;
    send(to, head);
  });
}

// --- in -----------------------------------------------------------------------------------------------------------

bool bridge::on_message(const peer_pointer& from, std::span<const std::byte> message) {
  message_head head;
  if (message.size() < sizeof head) return false;
  std::memcpy(&head, message.data(), sizeof head);
  const auto content = message.subspan(sizeof head);
  switch (head.kind) {
    case message_kind::letter:
      take_letter(from, head, content);
      break;
    case message_kind::monitor:
      take_monitor(from, head.target);
      break;
    case message_kind::down:
      take_down(from, head.source, content);
      break;
    case message_kind::link:
    case message_kind::unlink:
      take_link(from, head);
      break;
    case message_kind::resolve:
      take_resolve(from, head, content);
      break;
    case message_kind::resolved:
      take_resolved(from, head);
      break;
    default:
      return false;
  }
  return true;
}

struct bridge::decoded_letter {
  caf::strong_actor_ptr sender;
  caf::mailbox_element::forwarding_stack stages;
  caf::message content;
};

/// "" when all of it is good, or what is wrong with it.
std::string bridge::decode_letter(const peer_pointer& from, const message_head& head,
                                  std::span<const std::byte> content, decoded_letter& letter) {
  std::string failure;
  const auto take_handles = [&](auto&& each) {
    caf::message handles;
    std::size_t used = 0;
    if (!options_->codec.decode_first(content, from->node(), *this, handles, used, failure)) return false;
    for (std::size_t i = 0; i < handles.size(); ++i)
      if (handles.match_element<caf::strong_actor_ptr>(i)) each(handles.get_as<caf::strong_actor_ptr>(i));
    content = content.subspan(used);
    return true;
  };
  const auto take_sender = [&](const caf::strong_actor_ptr& sender) { letter.sender = sender; };
  const auto take_stage = [&](const caf::strong_actor_ptr& stage) { letter.stages.push_back(stage); };
  if ((head.flags & letter_flags::has_sender) != 0 && !take_handles(take_sender)) return failure;
  if ((head.flags & letter_flags::has_path) != 0 && !take_handles(take_stage)) return failure;
  if (!options_->codec.decode(content, from->node(), *this, letter.content, failure)) return failure;
  return {};
}

void bridge::take_letter(const peer_pointer& from, const message_head& head, std::span<const std::byte> content) {
  const auto id = caf::make_message_id(head.message_id);
  // Those who are linked to an actor that ended have heard of it if its `down` came first.
  const bool by_link = (head.flags & letter_flags::by_link) != 0;
  if (by_link && !has_proxy(from, head.source)) return;
  decoded_letter letter;
  if (head.source != 0) letter.sender = find_or_make_proxy(from, head.source);
  if (id.is_response()) requests_.remove(head.target, id);
  const auto failure = decode_letter(from, head, content, letter);
  const auto target = find_local(head.target);
  if (!target) return bounce(letter.sender, id, caf::sec::request_receiver_down);
  if (!failure.empty()) {
    // A type that this version does not know is no attack: who asks is answered, who waits hears of it.
    if (options_->on_event) options_->on_event("not understood", to_string(from->node()), failure);
    if (!id.is_response()) return bounce(letter.sender, id, caf::sec::unexpected_message);
    letter.stages.clear();
    letter.content = caf::make_message(caf::make_error(caf::sec::unexpected_message));
  }
  if (letter.content.match_elements<caf::exit_msg>()) {
    // Ends a link on both sides, so that the `down` that follows tells nobody again.
    unlink(letter.content.get_as<caf::exit_msg>(0).source, target);
  }
  target->enqueue(
      caf::make_mailbox_element(std::move(letter.sender), id, std::move(letter.stages), std::move(letter.content)),
      &unit_);
}

void bridge::take_monitor(const peer_pointer& from, std::uint64_t target) {
  const auto tell = [this, from, target](const caf::error& reason) {
    auto& buffer = scratch();
    message_head head;
    head.kind = message_kind::down;
    head.source = target;
    std::memcpy(buffer.extend(sizeof head), &head, sizeof head);
    options_->codec.encode(caf::make_message(reason), from->node(), *this, buffer);
    if (running_.load(std::memory_order_relaxed)) mesh_->send(from, buffer.bytes());
  };
  const auto local = find_local(target);
  if (!local) return tell(caf::exit_reason::unknown);
  if (!monitored_[from.get()].insert(target).second) return;
  const auto tell_and_forget = [this, from, target, tell](const caf::error& reason) {
    tell(reason);
    mesh_->post([this, from, target] {
      if (const auto found = monitored_.find(from.get()); found != monitored_.end()) found->second.erase(target);
    });
  };
  local->get()->attach(caf::attachable_ptr{new remote_monitor(from.get(), tell_and_forget)});
}

void bridge::take_down(const peer_pointer& from, std::uint64_t id, std::span<const std::byte> content) {
  caf::message reason;
  std::string failure;
  const bool decoded = options_->codec.decode(content, from->node(), *this, reason, failure);
  const auto of = proxies_.find(from.get());
  if (of == proxies_.end()) return;
  const auto found = of->second.find(id);
  if (found == of->second.end()) return;
  const auto gone = std::move(found->second);
  of->second.erase(found);
  const bool told = decoded && reason.match_elements<caf::error>();
  static_cast<caf::actor_proxy*>(gone->get())
      ->kill_proxy(&unit_, told ? reason.get_as<caf::error>(0) : caf::make_error(caf::exit_reason::unknown));
}

void bridge::take_link(const peer_pointer& from, const message_head& head) {
  const auto remote = find_or_make_proxy(from, head.source);
  const auto local = find_local(head.target);
  auto* const stands_for = static_cast<caf::actor_proxy*>(remote->get());
  if (!local) {
    message_head answer;
    answer.kind = message_kind::down;
    answer.source = head.target;
    return send(from, answer);
  }
  if (head.kind == message_kind::link) {
    stands_for->add_link(local->get());
  } else {
    stands_for->remove_link(local->get());
  }
}

}  // namespace troupe::transport
