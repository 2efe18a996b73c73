#include "actors/protocols/relocation.hpp"

namespace troupe {
namespace {

constexpr departure_transition go(departure_state state, std::string_view note) {
  return {true, state, note};
}
constexpr departure_transition over(std::string_view note) {
  return {true, std::nullopt, note};
}
constexpr departure_transition reject(std::string_view note) {
  return {false, std::nullopt, note};
}
constexpr arrival_transition go_on(arrival_state state, std::string_view note) {
  return {true, state, note};
}
constexpr arrival_transition forget(std::string_view note) {
  return {true, std::nullopt, note};
}
constexpr arrival_transition drop(std::string_view note) {
  return {false, std::nullopt, note};
}

departure_transition next_when_offering(departure_event event) {
  switch (event) {
    case departure_event::accepted:
      return go(departure_state::copying, "the target has reserved blocks");
    case departure_event::refused:
      return over("the target has no room; the request stays");
    case departure_event::aborted:
    case departure_event::down:
    case departure_event::late:
      return over("the request stays");
    case departure_event::rest_sent:
    case departure_event::done:
      return reject("nothing was accepted yet");
  }
  return reject("unknown event");
}

departure_transition next_when_copying(departure_event event) {
  switch (event) {
    case departure_event::rest_sent:
      return go(departure_state::committing, "the request is paused");
    case departure_event::aborted:
    case departure_event::down:
    case departure_event::late:
      return over("the request stays, undisturbed");
    case departure_event::accepted:
    case departure_event::refused:
      return reject("accepted already");
    case departure_event::done:
      return reject("nothing was committed yet");
  }
  return reject("unknown event");
}

departure_transition next_when_committing(departure_event event) {
  switch (event) {
    case departure_event::done:
      return over("the target owns it");
    case departure_event::aborted:
      return over("the target never began; the request goes on here");
    case departure_event::down:
    case departure_event::late:
      return over("the target may have begun; the request goes on here with a higher epoch");
    case departure_event::accepted:
    case departure_event::refused:
      return reject("accepted already");
    case departure_event::rest_sent:
      return reject("sent already");
  }
  return reject("unknown event");
}

arrival_transition next_when_reserving(arrival_event event) {
  switch (event) {
    case arrival_event::reserved:
      return go_on(arrival_state::filling, "the source may send");
    case arrival_event::no_room:
      return forget("refused");
    case arrival_event::aborted:
    case arrival_event::down:
      return forget("what is reserved is given back");
    case arrival_event::commit:
    case arrival_event::filled:
    case arrival_event::broken:
      return drop("nothing was accepted yet");
  }
  return drop("unknown event");
}

arrival_transition next_when_filling(arrival_event event) {
  switch (event) {
    case arrival_event::commit:
      return go_on(arrival_state::completing, "waits for the last blocks");
    case arrival_event::filled:
      return go_on(arrival_state::filling, "every reserved block has come; waits for the commit");
    case arrival_event::broken:
    case arrival_event::aborted:
    case arrival_event::down:
      return forget("the blocks are given back");
    case arrival_event::reserved:
    case arrival_event::no_room:
      return drop("reserved already");
  }
  return drop("unknown event");
}

arrival_transition next_when_completing(arrival_event event) {
  switch (event) {
    case arrival_event::filled:
      return forget("the request is taken");
    case arrival_event::broken:
    case arrival_event::aborted:
    case arrival_event::down:
      return forget("the blocks are given back; the source goes on");
    case arrival_event::commit:
      return drop("committed already");
    case arrival_event::reserved:
    case arrival_event::no_room:
      return drop("reserved already");
  }
  return drop("unknown event");
}

}  // namespace

departure_transition next(departure_state state, departure_event event) {
  switch (state) {
    case departure_state::offering:
      return next_when_offering(event);
    case departure_state::copying:
      return next_when_copying(event);
    case departure_state::committing:
      return next_when_committing(event);
  }
  return reject("unknown state");
}

arrival_transition next(arrival_state state, arrival_event event) {
  switch (state) {
    case arrival_state::reserving:
      return next_when_reserving(event);
    case arrival_state::filling:
      return next_when_filling(event);
    case arrival_state::completing:
      return next_when_completing(event);
  }
  return drop("unknown state");
}

std::string_view to_string(departure_state state) {
  constexpr std::string_view names[] = {"offering", "copying", "committing"};
  return names[static_cast<std::size_t>(state)];
}
std::string_view to_string(departure_event event) {
  constexpr std::string_view names[] = {"accepted", "refused", "rest_sent", "done", "aborted", "down", "late"};
  return names[static_cast<std::size_t>(event)];
}
std::string_view to_string(arrival_state state) {
  constexpr std::string_view names[] = {"reserving", "filling", "completing"};
  return names[static_cast<std::size_t>(state)];
}
std::string_view to_string(arrival_event event) {
  constexpr std::string_view names[] = {"reserved", "no_room", "commit", "filled", "broken", "aborted", "down"};
  return names[static_cast<std::size_t>(event)];
}

}  // namespace troupe
