// Every (state, event) pair of the protocols has a transition or a named rejection, and it is the one that the diagrams
// show.
#include "actors/protocols/membership.hpp"
#include "actors/protocols/relocation.hpp"
#include "actors/protocols/request.hpp"
#include "catch.hpp"

#include <map>
#include <optional>
#include <utility>

using namespace troupe;

namespace {

template <class State, class Event>
using table = std::map<std::pair<State, Event>, std::optional<State>>;

template <class State, class Event>
void walk(const table<State, Event>& accepted, std::initializer_list<State> states,
          std::initializer_list<Event> events) {
  for (const State state : states) {
    for (const Event event : events) {
      CAPTURE(to_string(state), to_string(event));
      const auto transition = next(state, event);
      CHECK_FALSE(transition.note.empty());
      const auto expected = accepted.find({state, event});
      REQUIRE(transition.accepted == (expected != accepted.end()));
      if (transition.accepted) CHECK(transition.becomes == expected->second);
      if (!transition.accepted) CHECK_FALSE(transition.becomes.has_value());
    }
  }
}

}  // namespace

TEST_CASE("the request protocol answers every pair of state and event", "[protocol]") {
  using s = request_state;
  using e = request_event;
  const auto over = std::nullopt;
  walk<s, e>({{{s::queued, e::assign}, s::assigned},
              {{s::queued, e::cancel}, over},
              {{s::queued, e::deadline}, over},
              {{s::assigned, e::cancel}, s::cancelling},
              {{s::assigned, e::deadline}, s::cancelling},
              {{s::assigned, e::ended}, over},
              {{s::assigned, e::worker_down}, over},
              {{s::cancelling, e::ended}, over},
              {{s::cancelling, e::worker_down}, over}},
             {s::queued, s::assigned, s::cancelling},
             {e::submit, e::assign, e::cancel, e::deadline, e::ended, e::worker_down});
}

TEST_CASE("a departure answers every pair of state and event", "[protocol]") {
  using s = departure_state;
  using e = departure_event;
  const auto over = std::nullopt;
  walk<s, e>({{{s::offering, e::accepted}, s::copying},
              {{s::offering, e::refused}, over},
              {{s::offering, e::aborted}, over},
              {{s::offering, e::down}, over},
              {{s::offering, e::late}, over},
              {{s::copying, e::rest_sent}, s::committing},
              {{s::copying, e::aborted}, over},
              {{s::copying, e::down}, over},
              {{s::copying, e::late}, over},
              {{s::committing, e::done}, over},
              {{s::committing, e::aborted}, over},
              {{s::committing, e::down}, over},
              {{s::committing, e::late}, over}},
             {s::offering, s::copying, s::committing},
             {e::accepted, e::refused, e::rest_sent, e::done, e::aborted, e::down, e::late});
}

TEST_CASE("an arrival answers every pair of state and event", "[protocol]") {
  using s = arrival_state;
  using e = arrival_event;
  const auto over = std::nullopt;
  walk<s, e>({{{s::reserving, e::reserved}, s::filling},
              {{s::reserving, e::no_room}, over},
              {{s::reserving, e::aborted}, over},
              {{s::reserving, e::down}, over},
              {{s::filling, e::commit}, s::completing},
              {{s::filling, e::filled}, s::filling},
              {{s::filling, e::broken}, over},
              {{s::filling, e::aborted}, over},
              {{s::filling, e::down}, over},
              {{s::completing, e::filled}, over},
              {{s::completing, e::broken}, over},
              {{s::completing, e::aborted}, over},
              {{s::completing, e::down}, over}},
             {s::reserving, s::filling, s::completing},
             {e::reserved, e::no_room, e::commit, e::filled, e::broken, e::aborted, e::down});
}

TEST_CASE("a member answers every pair of state and event", "[protocol]") {
  using s = member_state;
  using e = member_event;
  const std::map<std::pair<s, e>, s> accepted{
      {{s::searching, e::found}, s::joining}, {{s::searching, e::leave}, s::gone},
      {{s::joining, e::joined}, s::serving},  {{s::joining, e::refused}, s::searching},
      {{s::joining, e::down}, s::searching},  {{s::joining, e::refused_for_good}, s::gone},
      {{s::joining, e::leave}, s::gone},      {{s::serving, e::down}, s::searching},
      {{s::serving, e::leave}, s::leaving},   {{s::leaving, e::down}, s::gone}};
  for (const s state : {s::searching, s::joining, s::serving, s::leaving, s::gone}) {
    for (const e event : {e::found, e::joined, e::refused, e::refused_for_good, e::down, e::leave}) {
      CAPTURE(to_string(state), to_string(event));
      const auto expected = accepted.find({state, event});
      const auto becomes = next(state, event);
      REQUIRE(becomes.has_value() == (expected != accepted.end()));
      if (becomes) CHECK(*becomes == expected->second);
    }
  }
}

TEST_CASE("epochs count owners within incarnations", "[protocol]") {
  CHECK(incarnation(first_epoch()) == 1);
  CHECK(first_epoch() < next_owner(first_epoch()));
  CHECK(incarnation(next_owner(first_epoch())) == 1);
  CHECK(next_owner(first_epoch()) < next_incarnation(first_epoch()));
  CHECK(next_incarnation(next_owner(next_owner(first_epoch()))) == next_incarnation(first_epoch()));
  CHECK(next_incarnation(first_epoch()) == epoch{2u << 16});
}
