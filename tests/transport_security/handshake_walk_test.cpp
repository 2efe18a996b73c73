// Every (state, message) pair: a transition or a named refusal, and nothing else. The messages are genuine ones of the
// same handshake wherever such exist, so that only the order can be wrong.
#include "catch.hpp"
#include "handshake_pair.hpp"
#include "transport/security/handshake.hpp"

#include <map>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

enum class event { hello, challenge, proof, ready, refuse, garbage, own_refusal };
constexpr std::array events = {event::hello,  event::challenge, event::proof,      event::ready,
                               event::refuse, event::garbage,   event::own_refusal};

enum class side { initiator, responder };
using place = std::pair<side, handshake_state>;

// The diagram of handshake.hpp; what is missing is a refusal.
const std::map<std::pair<place, event>, handshake_state> transitions = {
    {{{side::initiator, handshake_state::awaiting_challenge}, event::challenge}, handshake_state::awaiting_ready},
    {{{side::initiator, handshake_state::awaiting_ready}, event::ready}, handshake_state::established},
    {{{side::responder, handshake_state::awaiting_hello}, event::hello}, handshake_state::awaiting_proof},
    {{{side::responder, handshake_state::awaiting_proof}, event::proof}, handshake_state::established}};

const std::vector<place> places = {
    {side::initiator, handshake_state::awaiting_challenge}, {side::initiator, handshake_state::awaiting_ready},
    {side::initiator, handshake_state::established},        {side::initiator, handshake_state::refused},
    {side::responder, handshake_state::awaiting_hello},     {side::responder, handshake_state::awaiting_proof},
    {side::responder, handshake_state::established},        {side::responder, handshake_state::refused}};

// A machine of this handshake that has come as far as `where`.
handshake machine_at(const place& where, const recording& record) {
  auto machine = where.first == side::initiator ? make_initiator(1) : make_responder(1);
  const bool listens = where.first == side::responder;
  if (where.second == handshake_state::refused) machine.refuse(refusal_reason::busy);
  for (const auto& message : listens ? std::array{record.messages[hello], record.messages[proof]}
                                     : std::array{record.messages[challenge], record.messages[ready]})
    if (machine.state() != where.second) machine.take(message);
  REQUIRE(machine.state() == where.second);
  return machine;
}

handshake_outcome apply(handshake& machine, event what, const recording& record) {
  if (what == event::own_refusal) return machine.refuse(refusal_reason::timeout);
  if (what == event::refuse)
    return machine.take(security::encode(security::refuse_message{refusal_reason::banned, "no"}));
  if (what == event::garbage) return machine.take(message_bytes(36, std::byte{0x5a}));
  return machine.take(record.messages[static_cast<std::size_t>(what)]);
}

void check_refusal(const handshake& machine, const handshake_outcome& outcome, event what, handshake_state before) {
  REQUIRE(outcome.state == handshake_state::refused);
  REQUIRE(machine.refusal().has_value());
  const handshake_refusal& refusal = *machine.refusal();
  CHECK(!machine.established());
  if (before == handshake_state::refused) {
    CHECK(refusal.reason == refusal_reason::busy);  // the first one stays
    CHECK(outcome.reply.empty());
    return;
  }
  CHECK(refusal.by_peer == (what == event::refuse));
  CHECK(outcome.reply.size() == (what == event::refuse ? 0u : 6u));
  const std::map<event, refusal_reason> expected = {{event::refuse, refusal_reason::banned},
                                                    {event::garbage, refusal_reason::malformed},
                                                    {event::own_refusal, refusal_reason::timeout}};
  const auto found = expected.find(what);
  CHECK(refusal.reason == (found == expected.end() ? refusal_reason::unexpected_message : found->second));
}

}  // namespace

TEST_CASE("every state answers every message", "[security][handshake]") {
  handshake_pair pair = test::make_pair(1);
  const recording record = run_to_end(pair);
  std::size_t n_transitions = 0;
  for (const place& where : places) {
    for (const event what : events) {
      CAPTURE(static_cast<int>(where.first), to_string(where.second), static_cast<int>(what));
      handshake machine = machine_at(where, record);
      const auto outcome = apply(machine, what, record);
      CHECK(outcome.state == machine.state());
      const auto found = transitions.find({where, what});
      if (found == transitions.end()) {
        check_refusal(machine, outcome, what, where.second);
        continue;
      }
      ++n_transitions;
      CHECK(outcome.state == found->second);
      CHECK(!machine.refusal());
    }
  }
  CHECK(n_transitions == transitions.size());
}

TEST_CASE("only an established handshake has keys", "[security][handshake]") {
  handshake_pair pair = test::make_pair(1);
  const recording record = run_to_end(pair);
  for (const place& where : places) {
    const handshake machine = machine_at(where, record);
    CAPTURE(to_string(where.second));
    if (machine.established()) {
      CHECK_NOTHROW(machine.keys());
      continue;
    }
    CHECK_THROWS_AS(machine.keys(), std::logic_error);
    CHECK_THROWS_AS(machine.epoch(), std::logic_error);
    CHECK_THROWS_AS(machine.version(), std::logic_error);
  }
}
