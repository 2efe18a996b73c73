#include "actors/protocols/request.hpp"

namespace troupe {
namespace {

constexpr request_transition to(request_state state, std::string_view note) {
  return {true, state, note};
}
constexpr request_transition forget(std::string_view note) {
  return {true, std::nullopt, note};
}
constexpr request_transition reject(std::string_view note) {
  return {false, std::nullopt, note};
}

request_transition next_when_queued(request_event event) {
  switch (event) {
    case request_event::submit:
      return reject("a request id in use");
    case request_event::assign:
      return to(request_state::assigned, "a worker has room");
    case request_event::cancel:
      return forget("cancelled before it started");
    case request_event::deadline:
      return forget("the deadline passed in the queue");
    case request_event::ended:
      return reject("no worker has it");
    case request_event::worker_down:
      return reject("no worker has it");
  }
  return reject("unknown event");
}

request_transition next_when_assigned(request_event event) {
  switch (event) {
    case request_event::submit:
      return reject("a request id in use");
    case request_event::assign:
      return reject("it has a worker");
    case request_event::cancel:
      return to(request_state::cancelling, "the worker is told");
    case request_event::deadline:
      return to(request_state::cancelling, "the client is answered, the worker told");
    case request_event::ended:
      return forget("answered");
    case request_event::worker_down:
      return forget("lost: the gateway submits it again");
  }
  return reject("unknown event");
}

request_transition next_when_cancelling(request_event event) {
  switch (event) {
    case request_event::submit:
      return reject("a request id in use");
    case request_event::assign:
      return reject("it has a worker");
    case request_event::cancel:
      return reject("cancelled already");
    case request_event::deadline:
      return reject("cancelled already");
    case request_event::ended:
      return forget("the worker has let go");
    case request_event::worker_down:
      return forget("nobody waits for it");
  }
  return reject("unknown event");
}

}  // namespace

request_transition next(request_state state, request_event event) {
  switch (state) {
    case request_state::queued:
      return next_when_queued(event);
    case request_state::assigned:
      return next_when_assigned(event);
    case request_state::cancelling:
      return next_when_cancelling(event);
  }
  return reject("unknown state");
}

std::string_view to_string(request_state state) {
  switch (state) {
    case request_state::queued:
      return "queued";
    case request_state::assigned:
      return "assigned";
    case request_state::cancelling:
      return "cancelling";
  }
  return "unknown";
}

std::string_view to_string(request_event event) {
  switch (event) {
    case request_event::submit:
      return "submit";
    case request_event::assign:
      return "assign";
    case request_event::cancel:
      return "cancel";
    case request_event::deadline:
      return "deadline";
    case request_event::ended:
      return "ended";
    case request_event::worker_down:
      return "worker_down";
  }
  return "unknown";
}

}  // namespace troupe
