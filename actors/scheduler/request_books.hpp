// The scheduler's requests: in, out of the queue to a worker, and to their end. See protocols/request.hpp.
#pragma once

#include "actors/scheduler/scheduler.hpp"

namespace troupe {

using request_entry = scheduler_state::request_entry;
using request_place = std::map<request_id, request_entry>::iterator;

/// Applies an event to a request; false (and counted) when the protocol gives it no meaning. Removal from the queue is
/// part of leaving the queued state, forgetting the entry is the caller's.
bool apply(scheduler_state& state, request_id id, request_entry& entry, request_event event);

/// Hands out the queue's front for as long as some worker has room.
void dispatch(scheduler_pointer self);

void submit(scheduler_pointer self, submit_request& submitted, const caf::actor& gateway);
void cancel(scheduler_pointer self, request_id id);
void expire(scheduler_pointer self, const deadline_passed& passed);
void end(scheduler_pointer self, const request_ended& ended);

/// Whoever was to take it after its prefill waits for it no longer: it came, or it never will.
void stop_expecting(scheduler_state& state, request_entry& entry);

/// The worker that had a request has it no longer.
void take_from_worker(scheduler_state& state, request_entry& entry);

/// Whoever had it is gone. What follows it.
request_place lose_request(scheduler_pointer self, request_place lost);

}  // namespace troupe
