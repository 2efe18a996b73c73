#include "transport/mesh.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>
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
  options_.fill_random(std::as_writable_bytes(std::span(&next_epoch_, 1)));
  next_epoch_ |= 1;  // no session has epoch 0
  fabric_->set_listener(*this);
}

mesh::~mesh() {
  for (auto& [link, s] : sessions_)
    if (s.state.up()) send_empty(s.state, frame_type::bye);
  for (auto& [node, known] : peers_) {
    known->alive_.store(false, std::memory_order_release);
    known->outbox_.close();
  }
  fabric_.reset();  // its callbacks find everything still in place
}

result<address> mesh::listen(const address& where) {
  auto bound = fabric_->listen(where);
  if (bound) listening_ = *bound;
  return bound;
}

// --- connecting -------------------------------------------------------------------------------------------------

handshake_nonce mesh::make_nonce() {
  handshake_nonce nonce;
  options_.fill_random(nonce);
  return nonce;
}

handshake_options mesh::options_of_handshake(std::uint8_t purpose, link_id link) {
  handshake_options made;
  made.self.id = options_.self.bytes;
  made.self.address = listening_.port != 0 ? to_string(listening_) : std::string();
  made.self.purpose = purpose;
  made.cluster = options_.cluster;
  made.admit = [this, link](const node_identity& who, admission_moment moment) { return admit(link, who, moment); };
  return made;
}

/// Whether a node that shakes hands is wanted. Of two sessions between two nodes the one stays that the node with the
/// smaller id began.
std::optional<refusal_reason> mesh::admit(link_id link, const node_identity& who, admission_moment moment) {
  const link_session* const here = find(link);
  if (here == nullptr) return refusal_reason::internal_error;
  const node_id node{who.id};
  if (here->state.initiator()) {
    const auto& expected = here->state.with;
    if (expected && expected->node() != node) return refusal_reason::banned;
  } else if (who.purpose != link_purpose::sealed && !options_.trusted_fabric) {
    // Plain frames are for neighbours on this host.
    const auto where = parse_address(who.address);
    if (where && !is_loopback(where->host)) return refusal_reason::banned;
  }
  if (moment != admission_moment::proven) return std::nullopt;
  for (const auto& [other_link, other] : sessions_) {
    if (other_link == link || other.state.node() != node) continue;
    const bool smaller_began_this = here->state.initiator() == (options_.self < node);
    const bool began_by_the_same = here->state.initiator() == other.state.initiator();
    if (other.state.up() || (!began_by_the_same && !smaller_began_this)) return refusal_reason::duplicate_connection;
  }
  return std::nullopt;
}

result<link_id> mesh::dial(const address& where, connected done, peer_pointer expected) {
  auto link = fabric_->connect(where);
  if (!link) return link;
  const bool sealed = !is_loopback(where.host) && !options_.trusted_fabric;
  auto shaking = handshake::initiate(options_of_handshake(sealed ? link_purpose::sealed : link_purpose::plain, *link),
                                     *options_.secret, make_nonce());
  if (!shaking) {
    fabric_->close(*link);
    return shaking.error();
  }
  const auto [at, fresh] = sessions_.emplace(
      *link, link_session{session(*link, *std::move(shaking), true, now_), std::move(done), sealed, {}});
  at->second.state.with = std::move(expected);
  reply(at->second, at->second.state.shaking().opening());
  return link;
}

void mesh::connect(const address& where, connected done) {
  if (auto link = dial(where, done, nullptr); !link) done(link.error());
}

peer_pointer mesh::find_or_connect(const node_id& node) {
  if (const auto found = peers_.find(node); found != peers_.end()) return found->second;
  const auto where = addresses_.find(node);
  if (where == addresses_.end()) return nullptr;
  auto made = std::make_shared<peer>(node, options_.outbox);
  if (!dial(where->second, {}, made)) return nullptr;
  peers_.emplace(node, made);
  return made;
}

void mesh::on_accepted(link_id link) {
  const auto waiting = std::count_if(sessions_.begin(), sessions_.end(), [](const auto& entry) {
    return !entry.second.state.up() && !entry.second.state.initiator();
  });
  auto shaking =
      handshake::respond(options_of_handshake(link_purpose::plain, link), *options_.secret, make_nonce(), next_epoch_);
  next_epoch_ += 2;
  if (static_cast<std::size_t>(waiting) >= options_.max_handshakes || !shaking) {
    counters_.count_refusal("busy");
    condemned_.push_back({link, "too many handshakes at once", true});
    return;
  }
  sessions_.emplace(link, link_session{session(link, *std::move(shaking), false, now_), {}, false, {}});
}

// --- what comes in ----------------------------------------------------------------------------------------------

mesh::link_session* mesh::find(link_id link) {
  const auto found = sessions_.find(link);
  return found == sessions_.end() ? nullptr : &found->second;
}

session* mesh::find_up(const peer& whom) {
  const auto found = links_.find(&whom);
  return found == links_.end() ? nullptr : &sessions_.at(found->second).state;
}

void mesh::on_frame(link_id link, std::span<const std::byte> bytes) {
  link_session* const here = find(link);
  if (here == nullptr) return;
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
  if (frame.header.type == frame_type::bulk) fine = take_bulk_chunk(s, *payload);
  if (frame.header.type == frame_type::bye) condemn(link, "it said bye", false);
  if (fine) return;
  counters_.count_refusal("malformed_message");
  condemn(link, "a message that breaks its form", true);
}

bool mesh::take_messages(session& s, std::span<const std::byte> payload) {
  std::uint64_t n = 0;
  const bool fine = for_each_message(payload, [&](std::span<const std::byte> message) {
    ++n;
    return listener_.on_message(s.with, message);
  });
  counters_.messages_received.fetch_add(n, std::memory_order_relaxed);
  return fine;
}

void mesh::take_handshake(link_session& here, std::span<const std::byte> payload) {
  session& s = here.state;
  const auto outcome = s.shaking().take(payload);
  if (!outcome.reply.empty()) reply(here, outcome.reply);
  if (outcome.state == handshake_state::established) return establish(here);
  if (outcome.state != handshake_state::refused) return;
  const auto& refusal = *s.shaking().refusal();
  counters_.count_refusal(std::string(to_string(refusal.reason)));
  condemn(s.link(), describe(refusal), true);
}

void mesh::establish(link_session& here) {
  session& s = here.state;
  const node_identity& who = *s.shaking().peer();
  const node_id node{who.id};
  const bool sealed = s.initiator() ? here.sealed : who.purpose == link_purpose::sealed;
  if (auto made = s.establish(sealed); !made) return condemn(s.link(), made.error().message, false);
  if (const auto where = parse_address(who.address)) learn(node, *where);
  auto& known = peers_[node];
  if (!s.with) s.with = known ? known : std::make_shared<peer>(node, options_.outbox);
  known = s.with;
  links_[s.with.get()] = s.link();
  counters_.peers_up.fetch_add(1, std::memory_order_relaxed);
  listener_.on_peer_up(s.with);
  if (here.done) std::exchange(here.done, {})(s.with);
  mark_dirty(s.with);  // what was queued while hands were shaken
}

bool mesh::take_bulk_chunk(session& s, std::span<const std::byte> payload) {
  const auto chunk = parse_bulk_chunk(payload);
  if (!chunk) return false;
  if (chunk->offset == 0) {
    const auto place = bulk_in_.offer(s.with->node(), chunk->ticket, chunk->part, chunk->part_size);
    s.arriving.reset();
    if (!place.empty()) s.arriving = {chunk->ticket, chunk->part, place};
  }
  // A refused part's chunks pass by: its ticket was closed while they were on their way.
  if (!s.arriving) return true;
  const auto [ticket, part, place] = *s.arriving;
  if (ticket != chunk->ticket || part != chunk->part || place.size() != chunk->part_size) return false;
  std::memcpy(place.data() + chunk->offset, chunk->bytes.data(), chunk->bytes.size());
  if (chunk->offset + chunk->bytes.size() < chunk->part_size) return true;
  s.arriving.reset();
  bulk_in_.received(ticket, part, true);
  return true;
}

bulk_place mesh::on_bulk_offered(link_id link, const bulk_header& header, std::size_t size) {
  link_session* const here = find(link);
  // Plain memory is for plain sessions.
  if (here == nullptr || !here->state.up() || here->state.sealed()) return {};
  if (header.epoch != here->state.shaking().epoch()) return {};
  here->state.heard(now_);
  const bulk_place place{bulk_in_.offer(here->state.with->node(), header.ticket, header.part, size)};
  if (place.memory.empty()) counters_.count_refusal("unknown_ticket");
  return place;
}

void mesh::on_bulk_received(link_id link, const bulk_header& header, bool intact) {
  if (link_session* const here = find(link)) here->state.heard(now_);
  bulk_in_.received(header.ticket, header.part, intact);
}

// --- the end of sessions ----------------------------------------------------------------------------------------

void mesh::on_link_lost(link_id link, std::string_view why) {
  condemn(link, std::string(why), false);
}

void mesh::condemn(link_id link, std::string why, bool refusal) {
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
  fabric_->close(link);
  const auto found = sessions_.find(link);
  if (found == sessions_.end()) return;
  const bool was_up = found->second.state.up();
  const auto node = found->second.state.node();
  const connected done = std::move(found->second.done);
  if (const auto& cut = found->second.state.arriving) bulk_in_.received(cut->ticket, cut->part, false);
  sessions_.erase(found);
  if (node) {
    const auto known = peers_.find(*node);
    const bool carried =
        known != peers_.end() && (was_up || (!links_.contains(known->second.get()) && !is_awaited(*node)));
    if (carried) lose(known->second, why);
  }
  if (!done) return;
  const auto known = node ? peers_.find(*node) : peers_.end();
  if (known != peers_.end()) return done(known->second);  // another session with it came up first
  done(make_error(errc::unavailable, "Cannot connect: " + std::string(why) + "."));
}

/// Whether a session with a node is on its way up.
bool mesh::is_awaited(const node_id& node) const {
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& entry) { return !entry.second.state.up() && entry.second.state.node() == node; });
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

void mesh::disconnect(const peer& whom) {
  session* const s = find_up(whom);
  if (s == nullptr) return;
  flush(*s);
  send_empty(*s, frame_type::bye);
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
  for (auto& frame : frames)
    send_frame(s, frame_type::messages, std::move(frame));
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
      return false;
    case outbox::outcome::overrun:
      post([this, to] {
        if (session* const s = find_up(*to)) condemn(s->link(), "it lets too much lie", false);
      });
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
  now_ = now;
  // What comes first is what others wait for.
  bool any = run_posted();
  any = flush_dirty() || any;
  any = fabric_->progress() || any;
  any = send_replies() || any;
  any = end_condemned() || any;
  any = bulk_out_.pump() || any;
  if (now >= next_tick_) tick();
  last_poll_ = now;
  return any;
}

void mesh::sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (!has_work_.load(std::memory_order_seq_cst)) fabric_->sleep_until(next_tick_);
  sleeping_.store(false, std::memory_order_relaxed);
}

/// Beats, deaths, handshakes that take too long; and when to look again.
void mesh::tick() {
  const duration pause = now_ - last_poll_;
  const bool was_kept_away = last_poll_ != time_point{} && pause > 2 * options_.beat_every;
  const bool beat = now_ >= next_beat_;
  if (beat) next_beat_ = now_ + options_.beat_every;
  next_tick_ = next_beat_;
  for (auto& [link, here] : sessions_) {
    session& s = here.state;
    if (was_kept_away) s.excuse(pause);
    if (beat && s.up()) send_empty(s, frame_type::beat);
    const time_point limit = s.up() ? s.last_heard() + options_.dead_after : s.opened() + options_.handshake_limit;
    if (now_ < limit) {
      next_tick_ = std::min(next_tick_, limit);
    } else if (s.up()) {
      condemn(link, "no sign of life", false);
    } else {
      const auto outcome = s.shaking().refuse(refusal_reason::timeout);
      reply(here, outcome.reply);
      counters_.count_refusal("timeout");
      condemn(link, "its handshake took too long", true);
    }
  }
  send_replies();
  end_condemned();
}

}  // namespace troupe::transport
