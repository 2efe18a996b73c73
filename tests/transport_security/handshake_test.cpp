// The handshake between honest nodes: what both ends agree on, what their owners may say, and each refusal by name.
#include "transport/security/handshake.hpp"

#include "base/failpoint.hpp"
#include "catch.hpp"
#include "golden_handshake.hpp"
#include "handshake_pair.hpp"
#include "transport/security/secure_random.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

bool same_key(const traffic_key& a, const traffic_key& b) {
  return std::ranges::equal(a.key.bytes(), b.key.bytes()) && a.salt == b.salt;
}

template <std::size_t N>
std::array<std::byte, N> counting_from(unsigned first) {
  std::array<std::byte, N> bytes;
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(first++); });
  return bytes;
}

// The reason with which `other` is refused after this hello.
refusal_reason refused_hello(handshake initiator, handshake responder) {
  const auto outcome = responder.take(initiator.opening());
  REQUIRE(outcome.state == handshake_state::refused);
  CHECK(outcome.reply.size() == 6);  // a reason's code and no word more
  const refusal_reason reason = responder.refusal()->reason;
  CHECK(!responder.refusal()->by_peer);
  CHECK(initiator.take(outcome.reply).reply.empty());
  REQUIRE(initiator.refusal().has_value());
  CHECK(initiator.refusal()->reason == reason);
  CHECK(initiator.refusal()->by_peer);
  return reason;
}

}  // namespace

TEST_CASE("both sides agree on keys, epoch, version and each other", "[security][handshake]") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    handshake_pair pair = test::make_pair(seed);
    run_to_end(pair);
    const auto& initiator = pair.initiator;
    const auto& responder = pair.responder;
    CHECK(same_key(initiator.keys().sending, responder.keys().receiving));
    CHECK(same_key(initiator.keys().receiving, responder.keys().sending));
    CHECK(!std::ranges::equal(initiator.keys().sending.key.bytes(), initiator.keys().receiving.key.bytes()));
    CHECK(initiator.keys().sending.salt != initiator.keys().receiving.salt);
    CHECK(initiator.epoch() == seed + 7);
    CHECK(responder.epoch() == seed + 7);
    CHECK(initiator.version() == 3);
    CHECK(responder.version() == 3);
    CHECK(initiator.peer() == options_of_node(2).self);
    CHECK(responder.peer() == options_of_node(1).self);
    CHECK(!initiator.refusal());
    CHECK(!responder.refusal());
  }
}

TEST_CASE("either nonce changes the keys", "[security][handshake]") {
  const auto sending_key = [](std::uint64_t nonce_c, std::uint64_t nonce_s) {
    handshake_pair pair{*handshake::initiate(options_of_node(1), seeded_secret(1), seeded_nonce(nonce_c)),
                        *handshake::respond(options_of_node(2), seeded_secret(1), seeded_nonce(nonce_s), 1)};
    run_to_end(pair);
    return to_hex(pair.initiator.keys().sending.key.bytes());
  };
  CHECK(sending_key(1, 2) == sending_key(1, 2));
  CHECK(sending_key(1, 2) != sending_key(3, 2));
  CHECK(sending_key(1, 2) != sending_key(1, 3));
}

TEST_CASE("the bytes are those of the reference", "[security][handshake]") {
  const auto secret = cluster_secret::from(counting_from<32>(0));
  CHECK(to_hex(secret->key()) == golden::secret);
  auto listening = options_of_node(2);
  listening.lowest_version = 2;
  listening.highest_version = 5;
  handshake_pair pair{*handshake::initiate(options_of_node(1), *secret, counting_from<32>(0x20)),
                      *handshake::respond(listening, *secret, counting_from<32>(0x60), 0x01020304)};
  const recording record = run_to_end(pair);
  CHECK(to_hex(record.messages[hello]) == golden::hello);
  CHECK(to_hex(record.messages[challenge]) == golden::challenge);
  CHECK(to_hex(record.messages[proof]) == golden::proof);
  CHECK(to_hex(record.messages[ready]) == golden::ready);
  CHECK(to_hex(pair.initiator.keys().sending.key.bytes()) == golden::initiator_key);
  CHECK(to_hex(pair.initiator.keys().sending.salt) == golden::initiator_salt);
  CHECK(to_hex(pair.initiator.keys().receiving.key.bytes()) == golden::responder_key);
  CHECK(to_hex(pair.initiator.keys().receiving.salt) == golden::responder_salt);
}

TEST_CASE("versions: the highest that both speak, or a refusal", "[security][handshake]") {
  for (std::uint16_t lowest = 1; lowest <= 5; ++lowest) {
    for (std::uint16_t highest = lowest; highest <= 5; ++highest) {
      CAPTURE(lowest, highest);
      auto options = options_of_node(2);
      options.lowest_version = lowest;
      options.highest_version = highest;
      auto responder = *handshake::respond(options, seeded_secret(1), seeded_nonce(2), 1);
      if (lowest > 3) {
        CHECK(refused_hello(make_initiator(1), std::move(responder)) == refusal_reason::wrong_version);
        continue;
      }
      handshake_pair pair{make_initiator(1), std::move(responder)};
      run_to_end(pair);
      CHECK(pair.initiator.version() == std::min<int>(3, highest));
    }
  }
}

TEST_CASE("another cluster and the node itself are refused", "[security][handshake]") {
  auto options = options_of_node(2);
  options.cluster = "alphA";
  CHECK(refused_hello(make_initiator(1), *handshake::respond(options, seeded_secret(1), seeded_nonce(2), 1)) ==
        refusal_reason::wrong_cluster);
  CHECK(refused_hello(make_initiator(1), *handshake::respond(options_of_node(1), seeded_secret(1), seeded_nonce(2),
                                                             1)) == refusal_reason::self_connection);
}

TEST_CASE("nodes without a secret understand each other, and nobody with one", "[security][handshake]") {
  const auto without = cluster_secret::none();
  handshake_pair pair{*handshake::initiate(options_of_node(1), without, seeded_nonce(1)),
                      *handshake::respond(options_of_node(2), without, seeded_nonce(2), 1)};
  run_to_end(pair);
  auto initiator = *handshake::initiate(options_of_node(1), without, seeded_nonce(1));
  auto responder = make_responder(1);
  const auto refusal = initiator.take(responder.take(initiator.opening()).reply);
  CHECK(refusal.state == handshake_state::refused);
  CHECK(initiator.refusal()->reason == refusal_reason::wrong_secret);
  CHECK(responder.take(refusal.reply).state == handshake_state::refused);
  CHECK(responder.refusal()->reason == refusal_reason::wrong_secret);
}

TEST_CASE("a responder's owner may veto what is claimed and what is proven", "[security][handshake]") {
  std::vector<admission_moment> asked;
  auto options = options_of_node(2);
  admission_moment veto = admission_moment::claimed;
  options.admit = [&](const node_identity& peer, admission_moment moment) -> std::optional<refusal_reason> {
    CHECK(peer == options_of_node(1).self);
    asked.push_back(moment);
    if (moment == veto) return refusal_reason::duplicate_connection;
    return std::nullopt;
  };
  CHECK(refused_hello(make_initiator(1), *handshake::respond(options, seeded_secret(1), seeded_nonce(2), 1)) ==
        refusal_reason::duplicate_connection);
  CHECK(asked == std::vector{admission_moment::claimed});

  asked.clear();
  veto = admission_moment::proven;
  auto initiator = make_initiator(1);
  auto responder = *handshake::respond(options, seeded_secret(1), seeded_nonce(2), 1);
  const auto proof = initiator.take(responder.take(initiator.opening()).reply);
  const auto refusal = responder.take(proof.reply);
  CHECK(refusal.state == handshake_state::refused);
  CHECK(initiator.take(refusal.reply).state == handshake_state::refused);
  CHECK(initiator.refusal()->reason == refusal_reason::duplicate_connection);
  CHECK(asked == std::vector{admission_moment::claimed, admission_moment::proven});
}

TEST_CASE("an initiator's owner may veto before it proves anything", "[security][handshake]") {
  auto options = options_of_node(1);
  options.admit = [](const node_identity& peer, admission_moment moment) -> std::optional<refusal_reason> {
    CHECK(peer == options_of_node(2).self);
    CHECK(moment == admission_moment::proven);
    return refusal_reason::banned;
  };
  auto initiator = *handshake::initiate(options, seeded_secret(1), seeded_nonce(1));
  auto responder = make_responder(1);
  const auto refusal = initiator.take(responder.take(initiator.opening()).reply);
  CHECK(refusal.state == handshake_state::refused);
  CHECK(responder.take(refusal.reply).state == handshake_state::refused);
  CHECK(responder.refusal()->reason == refusal_reason::banned);
}

TEST_CASE("words are for those who have proven the secret", "[security][handshake]") {
  const std::string words = "at 10.0.0.9\n there are 16 handshakes";
  handshake_pair pair = test::make_pair(1);
  const auto challenge = pair.responder.take(pair.initiator.opening());
  SECTION("a responder is silent to whom it has only challenged") {
    const auto refusal = pair.responder.refuse(refusal_reason::timeout, words);
    CHECK(refusal.reply.size() == 6);
    CHECK(pair.responder.refusal()->text == "at 10.0.0.9? there are 16 handshakes");  // for its own log
  }
  SECTION("an initiator speaks to a responder that has proven itself, which does not listen yet") {
    pair.initiator.take(challenge.reply);
    const auto refusal = pair.initiator.refuse(refusal_reason::shutting_down, words);
    CHECK(refusal.reply.size() == 6 + words.size());
    pair.responder.take(refusal.reply);
    CHECK(pair.responder.refusal()->reason == refusal_reason::shutting_down);
    CHECK(pair.responder.refusal()->text.empty());
  }
  SECTION("established nodes hear each other, up to 200 bytes") {
    pair.initiator.take(pair.responder.take(pair.initiator.take(challenge.reply).reply).reply);
    REQUIRE(pair.initiator.established());
    const auto refusal = pair.responder.refuse(refusal_reason::duplicate_connection, std::string(300, 'w'));
    CHECK(refusal.reply.size() == 206);
    CHECK(pair.initiator.take(refusal.reply).state == handshake_state::refused);
    CHECK(pair.initiator.refusal()->text == std::string(200, 'w'));
    CHECK(describe(*pair.initiator.refusal()).starts_with("The other node refused: duplicate_connection. The two"));
  }
}

TEST_CASE("options that no hello can carry are an error", "[security][handshake]") {
  const auto error_of = [](const handshake_options& options, const handshake_nonce& nonce) {
    const auto initiator = handshake::initiate(options, seeded_secret(1), nonce);
    const auto responder = handshake::respond(options, seeded_secret(1), nonce, 1);
    REQUIRE(!initiator);
    REQUIRE(!responder);
    CHECK(initiator.error() == responder.error());
    CHECK(initiator.error().code == errc::invalid_argument);
    return initiator.error().message;
  };
  auto options = options_of_node(1);
  CHECK(error_of(options, {}).find("fresh random bytes") != std::string::npos);
  options.self.address.assign(256, 'a');
  CHECK(error_of(options, seeded_nonce(1)).find("256 bytes") != std::string::npos);
  options.self.address = "a b";
  CHECK(error_of(options, seeded_nonce(1)).find("without spaces") != std::string::npos);
  options = options_of_node(1);
  options.cluster.clear();
  CHECK(error_of(options, seeded_nonce(1)).find("no name") != std::string::npos);
  options = options_of_node(1);
  options.lowest_version = 4;
  CHECK(error_of(options, seeded_nonce(1)).find("4 to 3") != std::string::npos);
  options.lowest_version = 0;
  CHECK(error_of(options, seeded_nonce(1)).find("0 to 3") != std::string::npos);
}

TEST_CASE("the longest addresses fit", "[security][handshake]") {
  auto dialing = options_of_node(1), listening = options_of_node(2);
  dialing.self.address.assign(255, 'a');
  listening.self.address.assign(255, 'b');
  handshake_pair pair{*handshake::initiate(dialing, seeded_secret(1), seeded_nonce(1)),
                      *handshake::respond(listening, seeded_secret(1), seeded_nonce(2), 1)};
  for (const auto& message : run_to_end(pair).messages)
    CHECK(message.size() <= longest_handshake_message);
  CHECK(pair.responder.peer() == dialing.self);
}

TEST_CASE("what OpenSSL fails to compute establishes nothing", "[security][handshake]") {
  // The visits of HMAC: challenge signed, challenge checked, proof signed, proof checked, ready signed, then four for
  // the responder's keys, ready checked, four for the initiator's.
  for (std::uint32_t visit = 1; visit <= 14; ++visit) {
    CAPTURE(visit);
    handshake_pair pair = test::make_pair(visit);
    arm_failpoint("security.hmac", visit);
    message_bytes message(pair.initiator.opening().begin(), pair.initiator.opening().end());
    for (bool to_responder = true; !message.empty(); to_responder = !to_responder)
      message = (to_responder ? pair.responder : pair.initiator).take(message).reply;
    CHECK(!pair.initiator.established());
    CHECK(!pair.responder.established());
    const auto& own = pair.initiator.refusal()->by_peer ? pair.responder : pair.initiator;
    CHECK(own.refusal()->reason == refusal_reason::internal_error);
  }
  const auto secret = seeded_secret(1);
  arm_failpoint("security.sha256");
  CHECK(handshake::initiate(options_of_node(1), secret, seeded_nonce(1)).error().code == errc::internal);
  arm_failpoint("security.random");
  CHECK(fresh_nonce().error().code == errc::internal);
  disarm_failpoints();
  CHECK(*fresh_nonce() != *fresh_nonce());
}
