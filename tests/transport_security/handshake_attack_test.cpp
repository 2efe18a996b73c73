// What must never be accepted: a wrong secret, a recorded session, truncated, extended and flipped bytes, reflected
// proofs, a downgrade.
#include "base/random.hpp"
#include "catch.hpp"
#include "handshake_pair.hpp"
#include "transport/security/digest.hpp"
#include "transport/security/handshake.hpp"

#include <functional>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::uint64_t n_attempts = 1000;

using meddler = std::function<void(message_index, message_bytes&)>;

// A handshake with somebody on the path who may change each message. The refusals travel back unchanged.
handshake_pair meddled(std::uint64_t seed, const meddler& meddle) {
  handshake_pair pair = test::make_pair(seed);
  message_bytes message(pair.initiator.opening().begin(), pair.initiator.opening().end());
  for (std::size_t index = 0; index < n_messages && !message.empty(); ++index) {
    const bool is_refusal = message.size() > 3 && message[3] == std::byte{5};
    if (!is_refusal) meddle(static_cast<message_index>(index), message);
    message = (index % 2 == 0 ? pair.responder : pair.initiator).take(message).reply;
  }
  if (!message.empty()) pair.responder.take(message);
  return pair;
}

// The receiver of the message at `index` took it for good.
bool receiver_accepted(const handshake_pair& pair, message_index index) {
  switch (index) {
    case hello:  // alone it proves nothing: what counts is that the initiator does not believe the answer
    case challenge:
      return pair.initiator.state() != handshake_state::refused || pair.responder.established();
    case proof:
      return pair.responder.established() || pair.initiator.established();
    default:
      return pair.initiator.established();
  }
}

}  // namespace

TEST_CASE("a wrong secret is never accepted", "[security][handshake][attack]") {
  for (std::uint64_t seed = 0; seed < n_attempts; ++seed) {
    auto initiator = make_initiator(seed, 2 + seed);
    auto responder = make_responder(seed);
    const auto challenge = responder.take(initiator.opening());
    CHECK(initiator.take(challenge.reply).state == handshake_state::refused);
    CHECK(initiator.refusal()->reason == refusal_reason::wrong_secret);
    // An initiator that does not care sends the proof it can make.
    auto partner = make_responder(seed, 2 + seed);
    auto careless = make_initiator(seed, 2 + seed);
    const auto proof = careless.take(partner.take(careless.opening()).reply);
    const auto refusal = responder.take(proof.reply);
    CHECK(responder.refusal()->reason == refusal_reason::wrong_secret);
    CHECK(refusal.reply.size() == 6);
  }
}

TEST_CASE("a recorded handshake is worth nothing against fresh nonces", "[security][handshake][attack]") {
  for (std::uint64_t seed = 0; seed < n_attempts; ++seed) {
    handshake_pair pair = test::make_pair(seed);
    const recording record = run_to_end(pair);
    auto responder = make_responder(n_attempts + seed);
    CHECK(responder.take(record.messages[hello]).state == handshake_state::awaiting_proof);
    const auto refusal = responder.take(record.messages[proof]);
    CHECK(responder.refusal()->reason == refusal_reason::wrong_secret);
    CHECK(refusal.reply.size() == 6);
    auto initiator = make_initiator(n_attempts + seed);
    CHECK(initiator.take(record.messages[challenge]).state == handshake_state::refused);
    CHECK(initiator.refusal()->reason == refusal_reason::wrong_secret);
    // One that was challenged by the real responder and then gets a recorded ready.
    auto waiting = make_initiator(n_attempts + seed);
    auto real = make_responder(n_attempts + seed);
    waiting.take(real.take(waiting.opening()).reply);
    CHECK(waiting.take(record.messages[ready]).state == handshake_state::refused);
    CHECK(waiting.refusal()->reason == refusal_reason::wrong_secret);
  }
}

TEST_CASE("no truncated or extended message is accepted", "[security][handshake][attack]") {
  handshake_pair good = test::make_pair(1);
  const recording record = run_to_end(good);
  std::size_t n_tried = 0;
  for (std::size_t index = 0; index < n_messages; ++index) {
    const auto which = static_cast<message_index>(index);
    for (std::size_t size = 0; size <= 600; ++size) {
      if (size == record.messages[index].size()) continue;
      CAPTURE(index, size);
      const auto pair = meddled(1, [&](message_index at, message_bytes& message) {
        if (at == which) message.resize(size);
      });
      CHECK(!receiver_accepted(pair, which));
      const auto& receiver = index % 2 == 0 ? pair.responder : pair.initiator;
      CHECK(receiver.refusal()->reason == refusal_reason::malformed);
      ++n_tried;
    }
  }
  CHECK(n_tried == 4 * 600);
}

TEST_CASE("no message with a flipped bit is accepted", "[security][handshake][attack]") {
  handshake_pair good = test::make_pair(1);
  const recording record = run_to_end(good);
  std::size_t n_tried = 0;
  for (std::size_t index = 0; index < n_messages; ++index) {
    const auto which = static_cast<message_index>(index);
    for (std::size_t bit = 0; bit < 8 * record.messages[index].size(); ++bit) {
      CAPTURE(index, bit);
      const auto pair = meddled(1, [&](message_index at, message_bytes& message) {
        if (at == which) message[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      });
      CHECK(!receiver_accepted(pair, which));
      CHECK((pair.initiator.refusal() || pair.responder.refusal()));
      ++n_tried;
    }
  }
  CHECK(n_tried == 8 * (82 + 13 + 96 + 13 + 36 + 40));
}

TEST_CASE("a side's own messages sent back to it are refused", "[security][handshake][attack]") {
  handshake_pair pair = test::make_pair(1);
  const recording record = run_to_end(pair);
  SECTION("to the responder") {
    auto responder = make_responder(1);
    const auto challenge = responder.take(record.messages[hello]);
    CHECK(responder.take(challenge.reply).state == handshake_state::refused);
    CHECK(responder.refusal()->reason == refusal_reason::unexpected_message);
  }
  SECTION("to the initiator") {
    auto initiator = make_initiator(1);
    CHECK(initiator.take(initiator.opening()).state == handshake_state::refused);
    CHECK(initiator.refusal()->reason == refusal_reason::unexpected_message);
  }
  SECTION("the responder's MAC, dressed up as a proof") {
    auto responder = make_responder(1);
    const auto challenge = responder.take(record.messages[hello]).reply;
    security::proof_message stolen;
    std::ranges::copy(std::span(challenge).last<32>(), stolen.proof.begin());
    CHECK(responder.take(security::encode(stolen)).state == handshake_state::refused);
    CHECK(responder.refusal()->reason == refusal_reason::wrong_secret);
  }
  SECTION("the initiator's MAC, dressed up as a ready") {
    auto initiator = make_initiator(1);
    const auto proof = initiator.take(record.messages[challenge]).reply;
    security::ready_message stolen;
    std::ranges::copy(std::span(proof).last<32>(), stolen.proof.begin());
    CHECK(initiator.take(security::encode(stolen)).state == handshake_state::refused);
    CHECK(initiator.refusal()->reason == refusal_reason::wrong_secret);
  }
  SECTION("a node's hello relayed to the same node, listening") {
    auto listening = *handshake::respond(options_of_node(1), seeded_secret(1), seeded_nonce(9), 1);
    CHECK(listening.take(make_initiator(1).opening()).state == handshake_state::refused);
    CHECK(listening.refusal()->reason == refusal_reason::self_connection);
  }
}

TEST_CASE("nobody on the path can lower the version or change an identity", "[security][handshake][attack]") {
  const auto refused_with = [](const meddler& meddle) {
    const auto pair = meddled(1, meddle);
    CHECK(!pair.initiator.established());
    CHECK(!pair.responder.established());
    return pair.initiator.refusal()->reason;
  };
  // Offsets are those of the tables in handshake_messages.hpp.
  CHECK(refused_with([](message_index at, message_bytes& message) {
          if (at == hello) message[6] = std::byte{1};  // highest version
        }) == refusal_reason::wrong_secret);
  CHECK(refused_with([](message_index at, message_bytes& message) {
          if (at == challenge) message[4] = std::byte{1};  // version chosen
        }) == refusal_reason::wrong_secret);
  CHECK(refused_with([](message_index at, message_bytes& message) {
          if (at == hello) message[56] = std::byte{9};  // the initiator's id
        }) == refusal_reason::wrong_secret);
  CHECK(refused_with([](message_index at, message_bytes& message) {
          if (at == challenge) message[64] = std::byte{'9'};  // the responder's address
        }) == refusal_reason::wrong_secret);
}

TEST_CASE("a member that breaks the rules is refused like a stranger", "[security][handshake][attack]") {
  // It knows the secret, so its MAC is right; what it says is not.
  const auto refused_with = [](std::uint16_t version, const node_identity& sender) {
    auto initiator = make_initiator(1);
    auto challenge = security::encode(security::challenge_message{version, seeded_nonce(5), sender, {}});
    const auto label = security::bytes_of("troupe server");
    message_bytes covered(label.begin(), label.end());
    covered.insert(covered.end(), initiator.opening().begin(), initiator.opening().end());
    covered.insert(covered.end(), challenge.begin(), challenge.end() - 32);
    std::ranges::copy(*security::hmac_sha256(seeded_secret(1).key(), covered), challenge.end() - 32);
    initiator.take(challenge);
    return initiator.refusal() ? initiator.refusal()->reason : refusal_reason::unspecified;
  };
  CHECK(refused_with(3, options_of_node(2).self) == refusal_reason::unspecified);  // the same, keeping the rules
  CHECK(refused_with(4, options_of_node(2).self) == refusal_reason::wrong_version);
  CHECK(refused_with(3, options_of_node(1).self) == refusal_reason::self_connection);
}

TEST_CASE("two sessions do not mix", "[security][handshake][attack]") {
  // The same two nodes handshake twice at once; each message of one is tried in the other.
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    handshake_pair first = test::make_pair(2 * seed), second = test::make_pair(2 * seed + 1);
    const auto first_challenge = first.responder.take(first.initiator.opening()).reply;
    const auto second_challenge = second.responder.take(second.initiator.opening()).reply;
    const auto first_proof = first.initiator.take(first_challenge).reply;
    CHECK(second.initiator.take(first_challenge).state == handshake_state::refused);
    CHECK(second.responder.take(first_proof).state == handshake_state::refused);
    auto third = make_initiator(2 * seed);  // same nonce even: a node that restarted with a broken random source
    CHECK(third.take(second_challenge).state == handshake_state::refused);
  }
}
