#include "handshake_script.hpp"

#include "base/random.hpp"
#include "transport/security/handshake.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace troupe::test {

using namespace troupe::transport;

namespace {

constexpr std::size_t n_sides = 6;       // 0..2 initiate, 3..5 respond; 2 and 5 hold another secret
constexpr std::size_t most_steps = 200;  // of one script
constexpr std::size_t most_recorded = 64;

using message_bytes = std::vector<std::byte>;

struct conversation {
  std::size_t side = 0;
  std::vector<message_bytes> sent, received;
};

bool is_initiator(std::size_t side) {
  return side < n_sides / 2;
}

bool holds_other_secret(std::size_t side) {
  return side % 3 == 2;
}

template <std::size_t N>
std::array<std::byte, N> seeded(std::uint64_t seed) {
  random_stream random(seed);
  std::array<std::byte, N> bytes;
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
  return bytes;
}

const cluster_secret& secret_of(std::size_t side) {
  static const cluster_secret right = *cluster_secret::from(seeded<32>(1)),
                              other = *cluster_secret::from(seeded<32>(2));
  return holds_other_secret(side) ? other : right;
}

class script_reader {
 public:
  explicit script_reader(std::span<const std::byte> script) : rest_(script) {}
  bool is_done() const { return rest_.empty(); }
  std::size_t byte() {
    if (rest_.empty()) return 0;
    const auto value = std::to_integer<std::size_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : (byte() << 8 | byte()) % bound; }
  message_bytes bytes(std::size_t n) {
    const auto found = rest_.first(std::min(n, rest_.size()));
    rest_ = rest_.subspan(found.size());
    return {found.begin(), found.end()};
  }

 private:
  std::span<const std::byte> rest_;
};

class stage {
 public:
  stage() {
    sides_.resize(n_sides);
    current_.resize(n_sides);
    for (std::size_t side = 0; side < n_sides; ++side)
      restart(side);
  }

  script_report play(script_reader script) {
    for (std::size_t step = 0; step < most_steps && !script.is_done() && report_.complaint.empty(); ++step)
      do_step(script);
    return report_;
  }

 private:
  void do_step(script_reader& script) {
    const std::size_t what = script.byte() % 16, to = script.byte() % n_sides;
    message_bytes message = what < 6 ? pick(script) : message_bytes();
    switch (what) {
      case 0:  // as it is
        break;
      case 1:
        if (!message.empty()) message[script.below(message.size())] ^= static_cast<std::byte>(1U << script.byte() % 8);
        break;
      case 2:
        message.resize(script.below(message.size() + 1));
        break;
      case 3:
        message.push_back(static_cast<std::byte>(script.byte()));
        break;
      case 4: {  // the beginning of one, the end of another
        const message_bytes other = pick(script);
        const std::size_t cut = script.below(std::min(message.size(), other.size()) + 1);
        std::copy_n(other.begin(), cut, message.begin());
        break;
      }
      case 5: {  // some bytes overwritten
        const message_bytes patch = script.bytes(script.byte() % 8);
        const std::size_t at = script.below(message.size() + 1);
        std::copy_n(patch.begin(), std::min(patch.size(), message.size() - at),
                    message.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      }
      case 6:
        message = script.bytes(script.byte() % 48);
        break;
      case 7:
        message = made_up(script);
        break;
      case 8:
        return refuse(to, script);
      case 9:
        return restart(to);
      case 10: {  // two fresh ones, and a part of their handshake
        restart(to % 3);
        restart(3 + to % 3);
        for (std::size_t left = script.byte() % 5; left > 0; --left)
          honest_step(to, to);
        return;
      }
      default:  // often, or few handshakes would get far; mostly between the same two
        return honest_step(to, what == 11 ? to + 1 : to);
    }
    deliver(to, message);
  }

  message_bytes pick(script_reader& script) const { return recorded_[script.below(recorded_.size())]; }

  static message_bytes made_up(script_reader& script) {
    using namespace troupe::transport::security;
    const auto number = static_cast<std::uint16_t>(1 + script.byte() % 5);
    const auto nonce = seeded<32>(script.byte());
    node_identity node{seeded<24>(script.byte()), std::string(script.byte(), 'x'), 1};
    switch (script.byte() % 5) {
      case 0:
        return encode(hello_message{number, static_cast<std::uint16_t>(number + script.byte()), nonce, {}, node});
      case 1:
        return encode(challenge_message{number, nonce, node, nonce});
      case 2:
        return encode(proof_message{nonce});
      case 3:
        return encode(ready_message{number, nonce});
      default:
        return encode(refuse_message{static_cast<refusal_reason>(number), std::string(script.byte() % 201, 'y')});
    }
  }

  // The next message that one of the two has said and the other not been given.
  void honest_step(std::size_t initiator, std::size_t responder) {
    initiator %= n_sides / 2;
    responder = n_sides / 2 + responder % (n_sides / 2);
    const auto& said = current_[initiator].sent;
    const auto& answered = current_[responder].sent;
    if (current_[responder].received.size() < said.size())
      deliver(responder, message_bytes(said[current_[responder].received.size()]));
    else if (current_[initiator].received.size() < answered.size())
      deliver(initiator, message_bytes(answered[current_[initiator].received.size()]));
  }

  void restart(std::size_t side) {
    if (sides_[side]) past_.push_back(current_[side]);
    current_[side] = {side, {}, {}};
    handshake_options options;
    options.self.id.fill(static_cast<std::byte>(side + 1));
    options.self.address = "10.0.0." + std::to_string(side);
    options.cluster = "alpha";
    options.highest_version = static_cast<std::uint16_t>(1 + side);
    const auto nonce = seeded<32>(1000 + n_nonces_++);
    if (is_initiator(side)) {
      sides_[side] = *handshake::initiate(options, secret_of(side), nonce);
      const auto opening = sides_[side]->opening();
      record(side, {opening.begin(), opening.end()});
    } else {
      sides_[side] = *handshake::respond(options, secret_of(side), nonce, static_cast<std::uint32_t>(n_nonces_));
    }
  }

  void record(std::size_t side, const message_bytes& message) {
    if (message.empty()) return;
    current_[side].sent.push_back(message);
    if (recorded_.size() == most_recorded) recorded_.erase(recorded_.begin() + 3);  // some of the oldest stay
    recorded_.push_back(message);
  }

  void refuse(std::size_t side, script_reader& script) {
    const auto before = sides_[side]->state();
    const auto reason = static_cast<refusal_reason>(script.byte() % 13);
    const auto words = script.bytes(script.byte() % 16 == 0 ? 255 : 4);
    const auto outcome = sides_[side]->refuse(reason, {reinterpret_cast<const char*>(words.data()), words.size()});
    check(side, before, outcome);
    record(side, outcome.reply);
  }

  void deliver(std::size_t to, const message_bytes& message) {
    const auto before = sides_[to]->state();
    current_[to].received.push_back(message);
    const auto outcome = sides_[to]->take(message);
    ++report_.n_delivered;
    check(to, before, outcome);
    record(to, outcome.reply);
    if (outcome.state == handshake_state::established) check_established(to);
  }

  void check(std::size_t side, handshake_state before, const handshake_outcome& outcome) {
    const handshake& machine = *sides_[side];
    const bool refused = outcome.state == handshake_state::refused;
    if (outcome.state != machine.state()) complain("the outcome tells another state than the handshake");
    if (outcome.reply.size() > longest_handshake_message) complain("a reply is longer than 512 bytes");
    if (machine.refusal().has_value() != refused) complain("refused without a reason, or a reason without refused");
    if (before == handshake_state::refused && (!refused || !outcome.reply.empty()))
      complain("refused was not for good");
    if (before == handshake_state::established && !refused) complain("established, and yet it took another message");
    const bool peer_was_proven = before == handshake_state::awaiting_ready || before == handshake_state::established;
    const bool is_refusal = outcome.reply.size() > 3 && outcome.reply[3] == std::byte{5};
    if (is_refusal && !peer_was_proven && outcome.reply.size() != 6) complain("words for somebody who proved nothing");
  }

  bool matches(const conversation& own, const conversation& other) const {
    if (is_initiator(own.side) == is_initiator(other.side)) return false;
    if (holds_other_secret(own.side) != holds_other_secret(other.side)) return false;
    // The responder's ready may still be under way to the initiator; nothing else may differ.
    const conversation& dialed = is_initiator(own.side) ? own : other;
    const conversation& listened = is_initiator(own.side) ? other : own;
    if (dialed.sent.size() < 2 || listened.received.size() < 2 || listened.sent.empty() || dialed.received.empty())
      return false;
    const bool same = dialed.sent[0] == listened.received[0] && dialed.received[0] == listened.sent[0] &&
                      dialed.sent[1] == listened.received[1];
    if (!same || !is_initiator(own.side)) return same;
    return listened.sent.size() >= 2 && dialed.received.size() >= 2 && dialed.received[1] == listened.sent[1];
  }

  void check_established(std::size_t side) {
    ++report_.n_established;
    const conversation& own = current_[side];
    const auto is_partner = [&](const conversation& other) { return matches(own, other); };
    if (std::ranges::none_of(current_, is_partner) && std::ranges::none_of(past_, is_partner))
      complain("established, and nobody at the other end");
    for (std::size_t other = 0; other < n_sides; ++other)
      if (sides_[other]->established() && is_partner(current_[other])) compare(*sides_[side], *sides_[other]);
  }

  void compare(const handshake& a, const handshake& b) {
    const auto same = [](const traffic_key& x, const traffic_key& y) {
      return std::ranges::equal(x.key.bytes(), y.key.bytes()) && x.salt == y.salt;
    };
    if (!same(a.keys().sending, b.keys().receiving) || !same(a.keys().receiving, b.keys().sending) ||
        same(a.keys().sending, a.keys().receiving))
      complain("the two ends have not the same keys, or one for both directions");
    if (a.epoch() != b.epoch() || a.version() != b.version()) complain("the two ends differ on epoch or version");
  }

  void complain(const char* what) {
    if (report_.complaint.empty()) report_.complaint = what;
  }

  std::vector<std::optional<handshake>> sides_;
  std::vector<conversation> current_, past_;
  std::vector<message_bytes> recorded_;
  std::uint64_t n_nonces_ = 0;
  script_report report_;
};

}  // namespace

script_report play_handshake_script(std::span<const std::byte> script) {
  return stage().play(script_reader(script));
}

}  // namespace troupe::test
