// How sessions come up: dialing, being dialed, the handshake, and which of two sessions between two nodes stays.
#include "transport/mesh.hpp"

#include <algorithm>
#include <utility>

namespace troupe::transport {

result<handshake_nonce> mesh::make_nonce() const {
  handshake_nonce nonce{};
  if (auto filled = options_.fill_random(nonce); !filled) return filled.error();
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

void mesh::learn(const node_id& node, const address& where) {
  if (addresses_.size() >= options_.max_addresses && !addresses_.contains(node)) {
    const auto idle = std::find_if(addresses_.begin(), addresses_.end(),
                                   [&](const auto& entry) { return !peers_.contains(entry.first); });
    addresses_.erase(idle != addresses_.end() ? idle : addresses_.begin());
  }
  addresses_.insert_or_assign(node, where);
}

// --- dialing ----------------------------------------------------------------------------------------------------

void mesh::connect(const address& where, connected done) {
  for (const auto& [node, known] : addresses_) {
    const auto found = known == where ? peers_.find(node) : peers_.end();
    if (found != peers_.end() && find_up(*found->second) != nullptr) return done(found->second);
  }
  dialing_.push_back({where, std::move(done), nullptr});
}

peer_pointer mesh::find_or_connect(const node_id& node) {
  if (const auto found = peers_.find(node); found != peers_.end()) return found->second;
  const auto where = addresses_.find(node);
  if (where == addresses_.end()) return nullptr;
  auto made = std::make_shared<peer>(node, options_.outbox);
  peers_.emplace(node, made);
  dialing_.push_back({where->second, {}, made});
  return made;
}

bool mesh::dial_waiting() {
  if (dialing_.empty()) return false;
  for (auto& [where, done, expected] : std::exchange(dialing_, {})) {
    if (expected && links_.contains(expected.get())) continue;  // it has connected to us meanwhile
    const auto dialed = dial(where, done, expected);
    if (dialed) continue;
    if (expected && expected->alive() && !is_awaited(expected->node())) lose(expected, dialed.error().message);
    if (done) done(dialed.error());
  }
  return true;
}

/// `done` is taken when it succeeds.
result<> mesh::dial(const address& where, connected& done, const peer_pointer& expected) {
  const auto nonce = make_nonce();
  if (!nonce) return nonce.error();
  const auto link = fabric_->connect(where);
  if (!link) return link.error();
  // A name says little: it may lead anywhere.
  const bool stays_here = is_loopback(where.host) && is_loopback(fabric_->remote_host(*link));
  const bool sealed = !stays_here && !options_.trusted_fabric;
  auto shaking = handshake::initiate(options_of_handshake(sealed ? link_purpose::sealed : link_purpose::plain, *link),
                                     *options_.secret, *nonce);
  if (!shaking) {
    fabric_->close(*link);
    return shaking.error();
  }
  link_session made{session(*link, *std::move(shaking), true, now_), std::move(done), sealed, false, false, {}};
  made.state.with = expected;
  const auto at = sessions_.emplace(*link, std::move(made)).first;
  reply(at->second, at->second.state.shaking().opening());
  return {};
}

// --- being dialed -----------------------------------------------------------------------------------------------

void mesh::on_accepted(link_id link) {
  const auto waiting = std::count_if(sessions_.begin(), sessions_.end(), [](const auto& entry) {
    return !entry.second.state.up() && !entry.second.state.initiator() && !entry.second.condemned;
  });
  const auto refuse = [&](refusal_reason reason, const char* why) {
    counters_.count_refusal(std::string(to_string(reason)));
    condemn(link, why, true);
  };
  if (static_cast<std::size_t>(waiting) >= options_.max_handshakes)
    return refuse(refusal_reason::busy, "too many handshakes at once");
  const auto nonce = make_nonce();
  if (!nonce) return refuse(refusal_reason::internal_error, "no random bytes for a handshake");
  auto shaking =
      handshake::respond(options_of_handshake(link_purpose::plain, link), *options_.secret, *nonce, next_epoch_);
  next_epoch_ += 2;
  if (!shaking) return refuse(refusal_reason::internal_error, "the handshake could not be prepared");
  sessions_.emplace(link, link_session{session(link, *std::move(shaking), false, now_), {}, false, false, false, {}});
}

/// Whether a node that shakes hands is wanted. Of two sessions between two nodes the one stays that the node with the
/// smaller id began; only what was proven counts, or anybody could keep a node out by claiming to be it.
std::optional<refusal_reason> mesh::admit(link_id link, const node_identity& who, admission_moment moment) {
  const link_session* const here = find(link);
  if (here == nullptr) return refusal_reason::internal_error;
  const node_id node{who.id};
  if (here->state.initiator()) {
    const auto& expected = here->state.with;
    if (expected && expected->node() != node) return refusal_reason::banned;
  } else if (who.purpose != link_purpose::sealed && !options_.trusted_fabric &&
             !is_loopback(fabric_->remote_host(link))) {
    return refusal_reason::banned;  // plain frames are for neighbours on this host
  }
  if (moment != admission_moment::proven) return std::nullopt;
  for (const auto& [other_link, other] : sessions_) {
    if (other_link == link || other.condemned || !other.state.proven() || other.state.node() != node) continue;
    const bool smaller_began_this = here->state.initiator() == (options_.self < node);
    const bool began_by_the_same = here->state.initiator() == other.state.initiator();
    if (other.state.up() || (!began_by_the_same && !smaller_began_this)) return refusal_reason::duplicate_connection;
  }
  return std::nullopt;
}

void mesh::take_handshake(link_session& here, std::span<const std::byte> payload) {
  session& s = here.state;
  const auto outcome = s.shaking().take(payload);
  if (!outcome.reply.empty()) reply(here, outcome.reply);
  if (outcome.state == handshake_state::established) return establish(here);
  if (outcome.state != handshake_state::refused) return;
  here.has_last_words = !outcome.reply.empty();
  const auto& refusal = *s.shaking().refusal();
  counters_.count_refusal(std::string(to_string(refusal.reason)));
  condemn(s.link(), describe(refusal), true);
}

void mesh::establish(link_session& here) {
  session& s = here.state;
  const node_identity& who = *s.shaking().peer();
  const node_id node{who.id};
  const auto found = peers_.find(node);
  const peer_pointer known = found == peers_.end() ? nullptr : found->second;
  // The other side gave another session up before this one noticed.
  if (known && links_.contains(known.get())) return condemn(s.link(), "the two nodes are connected already", false);
  const bool sealed = s.initiator() ? here.sealed : who.purpose == link_purpose::sealed;
  if (auto made = s.establish(sealed); !made) return condemn(s.link(), made.error().message, false);
  s.with = known ? known : std::make_shared<peer>(node, options_.outbox);
  peers_.insert_or_assign(node, s.with);
  links_.emplace(s.with.get(), s.link());
  if (const auto where = parse_address(who.address)) learn(node, *where);
  counters_.peers_up.fetch_add(1, std::memory_order_relaxed);
  listener_.on_peer_up(s.with);
  if (here.done) std::exchange(here.done, {})(s.with);
  mark_dirty(s.with);  // what was queued while hands were shaken
}

// --- what came of it --------------------------------------------------------------------------------------------

/// Whether a session with a node is on its way up.
bool mesh::is_awaited(const node_id& node) const {
  const auto is_dialed = [&](const dialing& waiting) { return waiting.expected && waiting.expected->node() == node; };
  return std::any_of(dialing_.begin(), dialing_.end(), is_dialed) ||
         std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
           const link_session& here = entry.second;
           return !here.condemned && !here.state.up() && here.state.node() == node;
         });
}

/// For a connect() whose own session came to nothing: another one with that node may be up, or on its way.
void mesh::answer(connected done, const std::optional<node_id>& node, std::string_view why) {
  if (node) {
    const auto known = peers_.find(*node);
    if (known != peers_.end() && links_.contains(known->second.get())) return done(known->second);
    for (auto& [link, other] : sessions_) {
      if (other.condemned || other.state.up() || other.state.node() != node) continue;
      other.done = [first = std::move(other.done), second = std::move(done)](const result<peer_pointer>& at) {
        if (first) first(at);
        second(at);
      };
      return;
    }
  }
  done(make_error(errc::unavailable, "Cannot connect: " + std::string(why) + "."));
}

}  // namespace troupe::transport
