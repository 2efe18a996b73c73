#include "actors/protocols/request.hpp"
#include "catch.hpp"

#include <map>
#include <tuple>

using namespace troupe;

// Every (state, event) pair has a transition or a named rejection, and it is the one the diagram shows.
TEST_CASE("the request protocol answers every pair of state and event", "[protocol]") {
  using s = request_state;
  using e = request_event;
  const std::map<std::pair<s, e>, std::optional<s>> accepted{
      {{s::queued, e::assign}, s::assigned},          {{s::queued, e::cancel}, std::nullopt},
      {{s::queued, e::deadline}, std::nullopt},       {{s::assigned, e::cancel}, s::cancelling},
      {{s::assigned, e::deadline}, s::cancelling},    {{s::assigned, e::ended}, std::nullopt},
      {{s::assigned, e::worker_down}, std::nullopt},  {{s::cancelling, e::ended}, std::nullopt},
      {{s::cancelling, e::worker_down}, std::nullopt}};
  for (const auto state : {s::queued, s::assigned, s::cancelling}) {
    for (const auto event : {e::submit, e::assign, e::cancel, e::deadline, e::ended, e::worker_down}) {
      CAPTURE(to_string(state), to_string(event));
      const auto transition = next(state, event);
      CHECK_FALSE(transition.note.empty());
      const auto expected = accepted.find({state, event});
      REQUIRE(transition.accepted == (expected != accepted.end()));
      if (transition.accepted) CHECK(transition.becomes == expected->second);
    }
  }
}
