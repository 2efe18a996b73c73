#include "transport/mesh.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace troupe::transport {

mesh::mesh(std::unique_ptr<fabric> fabric, mesh_options options, mesh_listener& listener)
    : options_(std::move(options)),
      listener_(listener),
      bulk_in_(options_.fill_random),
      fabric_(std::move(fabric)),
      bulk_out_(
          *fabric_, options_.max_bulk_in_flight, [this](const peer& whom) { return find_up(whom); },
          [this](session& s, wire::byte_buffer frame) { send_frame(s, frame_type::bulk, std::move(frame)); }) {
  if (!options_.secret) options_.secret = std::make_shared<const cluster_secret>(cluster_secret::none());
  // No secret, and never 0: without random bytes any will do.
  next_epoch_ = 0;
  (void)!options_.fill_random(std::as_writable_bytes(std::span(&next_epoch_, 1)));
  next_epoch_ |= 1;
  fabric_->set_listener(*this);
}

mesh::~mesh() {
  stop();
}

void mesh::stop() {
  if (!fabric_) return;
  run_posted();
  send_replies();
  std::vector<connected> unanswered;
  for (auto& [link, here] : sessions_) {
    if (here.state.up() && !here.condemned) send_empty(here.state, frame_type::bye);
    if (here.done) unanswered.push_back(std::move(here.done));
  }
  for (auto& waiting : dialing_)
    if (waiting.done) unanswered.push_back(std::move(waiting.done));
  for (auto& [node, known] : peers_) {
    known->alive_.store(false, std::memory_order_release);
    known->outbox_.close();
  }
  // What the fabric still delivers meets nobody.
  sessions_.clear();
  dialing_.clear();
  links_.clear();
  peers_.clear();
  fabric_.reset();
  bulk_out_.abandon();
  bulk_in_.abandon();
  for (const auto& done : unanswered)
    done(make_error(errc::unavailable, "Cannot connect: this node is shutting down."));
}

result<address> mesh::listen(const address& where) {
  auto bound = fabric_->listen(where);
  if (bound) listening_ = *bound;
  return bound;
}

// --- what comes in ----------------------------------------------------------------------------------------------

mesh::link_session* mesh::find(link_id link) {
  const auto found = sessions_.find(link);
  return found == sessions_.end() ? nullptr : &found->second;
}

session* mesh::find_up(const peer& whom) {
  const auto found = links_.find(&whom);
  if (found == links_.end()) return nullptr;
  auto& here = sessions_.at(found->second);
  return here.condemned ? nullptr : &here.state;
}

void mesh::on_frame(link_id link, std::span<const std::byte> bytes) {
  link_session* const here = find(link);
  if (here == nullptr || here->condemned) return;
  session& s = here->state;
  counters_.frames_received.fetch_add(1, std::memory_order_relaxed);
  counters_.bytes_received.fetch_add(bytes.size(), std::memory_order_relaxed);
  const parsed_frame frame = parse_frame(bytes);
  if (frame.error != frame_error::none) {
    counters_.count_refusal(std::string(to_string(frame.error)));
    return condemn(link, "a frame with " + std::string(to_string(frame.error)), true);
  }
  s.heard(now_);
  if (frame.header.type == frame_type::handshake) {
    if (!s.up()) return take_handshake(*here, frame.payload);
    counters_.count_refusal("unexpected_handshake");
    return condemn(link, "a handshake after the handshake", true);
  }
  if (!s.up()) {
    counters_.count_refusal("unauthenticated");
    return condemn(link, "a frame before the handshake was done", true);
  }
  const auto payload = s.open_frame(frame, bytes);
  if (!payload) {
    counters_.count_refusal("wrong_session");
    return condemn(link, payload.error().message, true);
  }
  bool fine = true;
  if (frame.header.type == frame_type::messages) fine = take_messages(s, *payload);
  if (frame.header.type == frame_type::message_part) fine = take_message_part(s, *payload);
  if (frame.header.type == frame_type::bulk) fine = take_bulk_chunk(s, *payload);
  if (frame.header.type == frame_type::bye) condemn(link, std::string(said_bye), false);
  if (fine) return;
  counters_.count_refusal("malformed_message");
  condemn(link, "a message that breaks its form", true);
}

// --- the end of sessions ----------------------------------------------------------------------------------------

void mesh::on_link_lost(link_id link, std::string_view why) {
  condemn(link, std::string(why), false);
}

void mesh::condemn(link_id link, std::string why, bool refusal) {
  if (link_session* const here = find(link)) {
    if (here->condemned) return;
    here->condemned = true;
  }
  condemned_.push_back({link, std::move(why), refusal});
}

bool mesh::end_condemned() {
  if (condemned_.empty()) return false;
  for (const auto& [link, why, refusal] : std::exchange(condemned_, {})) {
    if (refusal) {
      const link_session* const here = find(link);
      const auto node = here ? here->state.node() : std::nullopt;
      listener_.on_refusal(node ? to_string(*node) : "somebody", why);
    }
    end(link, why);
  }
  return true;
}

void mesh::end(link_id link, std::string_view why) {
  const auto found = sessions_.find(link);
  if (found == sessions_.end()) return fabric_->close(link);
  if (found->second.has_last_words)
    fabric_->close_gently(link);
  else
    fabric_->close(link);
  const bool was_up = found->second.state.up();
  const auto node = found->second.state.node();
  connected done = std::move(found->second.done);
  if (const auto& cut = found->second.state.arriving) bulk_in_.received(cut->ticket, cut->part, false);
  sessions_.erase(found);
  if (node) {
    const auto known = peers_.find(*node);
    const bool carried =
        known != peers_.end() && (was_up || (!links_.contains(known->second.get()) && !is_awaited(*node)));
    if (carried) lose(known->second, why);
  }
  if (done) answer(std::move(done), node, why);
}

void mesh::lose(peer_pointer whom, std::string_view why) {
  whom->alive_.store(false, std::memory_order_release);
  whom->outbox_.close();
  links_.erase(whom.get());
  peers_.erase(whom->node());
  bulk_in_.close_all(whom->node());
  bulk_out_.lose(*whom);
  counters_.peers_lost.fetch_add(1, std::memory_order_relaxed);
  listener_.on_peer_lost(whom, why);
}

/// For a peer whose outbox overran.
void mesh::give_up(const peer_pointer& whom) {
  constexpr auto why = "it lets too much lie";
  bool any = false;
  for (const auto& [link, here] : sessions_) {
    if (here.state.with != whom) continue;
    condemn(link, why, false);
    any = true;
  }
  const auto known = peers_.find(whom->node());
  if (!any && known != peers_.end() && known->second == whom) lose(whom, why);
}

void mesh::disconnect(const peer& whom) {
  session* const s = find_up(whom);
  if (s == nullptr) return;
  flush(*s);
  send_empty(*s, frame_type::bye);
  find(s->link())->has_last_words = true;
  condemn(s->link(), "this node closed the session", false);
}

// --- what goes out ----------------------------------------------------------------------------------------------

void mesh::reply(link_session& s, std::span<const std::byte> payload) {
  wire::byte_buffer frame;
  frame.extend(frame_header_bytes);
  frame.append(payload);
  (void)s.state.close_frame(frame_type::handshake, frame);  // of a session that is not up: cannot fail
  s.replies.push_back(std::move(frame));
  replying_.push_back(s.state.link());
}

bool mesh::send_replies() {
  if (replying_.empty()) return false;
  for (const link_id link : std::exchange(replying_, {}))
    if (link_session* const s = find(link))
      for (auto& frame : std::exchange(s->replies, {}))
        fabric_->send(link, std::move(frame));
  return true;
}

void mesh::send_frame(session& s, frame_type type, wire::byte_buffer frame) {
  if (auto closed = s.close_frame(type, frame); !closed) return condemn(s.link(), closed.error().message, false);
  counters_.frames_sent.fetch_add(1, std::memory_order_relaxed);
  counters_.bytes_sent.fetch_add(frame.size(), std::memory_order_relaxed);
  fabric_->send(s.link(), std::move(frame));
}

void mesh::send_empty(session& s, frame_type type) {
  wire::byte_buffer frame;
  frame.extend(frame_header_bytes);
  send_frame(s, type, std::move(frame));
}

bool mesh::flush(session& s) {
  auto frames = s.with->outbox_.take();
  for (auto& [type, bytes] : frames)
    send_frame(s, type, std::move(bytes));
  return !frames.empty();
}

bool mesh::flush_dirty() {
  std::vector<peer_pointer> flushing = std::exchange(stalled_, {});
  if (has_work_.load(std::memory_order_acquire)) {
    std::lock_guard lock(mutex_);
    flushing.insert(flushing.end(), dirty_.begin(), dirty_.end());
    dirty_.clear();
    has_work_.store(!posted_.empty(), std::memory_order_relaxed);
  }
  bool any = false;
  for (auto& whom : flushing) {
    session* const s = find_up(*whom);
    if (s == nullptr) continue;  // gone, or not up yet: establish() flushes
    if (fabric_->unsent_bytes(s->link()) >= options_.max_unsent_bytes) {
      stalled_.push_back(std::move(whom));
    } else {
      any = flush(*s) || any;
    }
  }
  return any;
}

bool mesh::send(const peer_pointer& to, std::span<const std::byte> message) {
  bool first = false;
  const bool may_wait = std::this_thread::get_id() != turning_.load(std::memory_order_relaxed);
  switch (to->outbox_.push(message, may_wait, first)) {
    case outbox::outcome::queued:
      if (first) mark_dirty(to);
      return true;
    case outbox::outcome::closed:
    case outbox::outcome::too_large:
      return false;
    case outbox::outcome::overrun:
      post([this, to] { give_up(to); });
      return false;
  }
  return false;
}

void mesh::send_bulk(bulk_transfer transfer) {
  post([this, moved = std::make_shared<bulk_transfer>(std::move(transfer))] { bulk_out_.add(std::move(*moved)); });
}

void mesh::mark_dirty(const peer_pointer& whom) {
  {
    std::lock_guard lock(mutex_);
    dirty_.push_back(whom);
  }
  announce_work();
}

void mesh::post(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  announce_work();
}

void mesh::announce_work() {
  has_work_.store(true, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst)) fabric_->wake();
}

bool mesh::run_posted() {
  if (!has_work_.load(std::memory_order_acquire)) return false;
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    has_work_.store(!dirty_.empty(), std::memory_order_relaxed);
  }
  for (const auto& task : tasks)
    task();
  return !tasks.empty();
}

// --- the round --------------------------------------------------------------------------------------------------

bool mesh::poll(time_point now) {
  if (!fabric_) return false;
  now_ = now;
  // What comes first is what others wait for.
  bool any = run_posted();
  any = flush_dirty() || any;
  any = fabric_->progress() || any;
  any = dial_waiting() || any;
  any = send_replies() || any;
  any = end_condemned() || any;
  any = bulk_out_.pump() || any;
  if (now >= next_tick_) any = tick() || any;
  last_poll_ = now;
  return any;
}

void mesh::sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  // What keeps it from sleeping may be for the other side to do, and the other side waiting for this core.
  if (!has_work_.load(std::memory_order_seq_cst) && !fabric_->sleep_until(next_tick_)) std::this_thread::yield();
  sleeping_.store(false, std::memory_order_relaxed);
}

/// Beats, deaths, handshakes that take too long; and when to look again.
bool mesh::tick() {
  const duration pause = now_ - last_poll_;
  const bool was_kept_away = last_poll_ != time_point{} && pause > 2 * options_.beat_every;
  const bool beat = now_ >= next_beat_;
  if (beat) next_beat_ = now_ + options_.beat_every;
  next_tick_ = next_beat_;
  for (auto& [link, here] : sessions_) {
    session& s = here.state;
    if (here.condemned) continue;
    if (was_kept_away) s.excuse(pause, now_);
    if (beat && s.up()) send_empty(s, frame_type::beat);
    const time_point limit = s.up() ? s.last_heard() + options_.dead_after : s.opened() + options_.handshake_limit;
    if (now_ < limit) {
      next_tick_ = std::min(next_tick_, limit);
    } else if (s.up()) {
      condemn(link, "no sign of life", false);
    } else {
      const auto outcome = s.shaking().refuse(refusal_reason::timeout);
      reply(here, outcome.reply);
      here.has_last_words = true;
      counters_.count_refusal("timeout");
      condemn(link, "its handshake took too long", true);
    }
  }
  send_replies();
  return end_condemned();
}

}  // namespace troupe::transport
