// What CAF needs to know of the messages: type ids of those that may leave the process, leave to pass the others by
// pointer. Include it in .cpp files only: CAF takes half a minute to compile.
#pragma once

#include "actors/protocols/membership.hpp"
#include "actors/protocols/relocation.hpp"
#include "actors/protocols/request.hpp"
#include "actors/protocols/status.hpp"
#include "actors/worker/engine_report.hpp"
#include "base/fields.hpp"
#include "base/generation_service.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/all.hpp>

namespace troupe {

/// worker -> scheduler, with the worker's handle as second element, before anything else that it sends: the scheduler
/// drops reports of workers it does not know. It monitors the worker from then on.
struct worker_started {
  worker_id worker;
  std::uint8_t roles = worker_role::both;
};

/// gateway -> scheduler: from now on the sender gets a scheduler_report at each change.
struct subscribe_reports {};

/// scheduler -> itself, at a request's deadline.
struct deadline_passed {
  request_id request;
  troupe::epoch epoch;
};

/// gateway -> itself, when a request that lost its worker is due to be submitted again.
struct resubmit_request {
  request_id request;
  troupe::epoch epoch;
};

/// supervisor -> itself, when a worker is due to be started (again).
struct start_worker {
  worker_id worker;
};

/// scheduler -> itself: time to see whether requests should be moved, or workers started or stopped.
struct look_around {};

/// registry -> scheduler: this worker takes no more requests.
struct drain_worker {
  worker_id worker;
};

/// member -> itself: time to look for the registry; what came of it; an answer that did not come.
struct search_registry {};
struct registry_found {};  // with the registry's handle
struct registry_missing {
  std::string why;
};
struct join_unanswered {
  std::uint64_t attempt = 0;
};

/// registry -> itself: everybody has been told to stop.
struct stop_head {};

/// worker -> itself: a step of a departure, an arrival took too long.
struct relocation_late {
  relocation_id relocation;
  std::uint64_t step = 0;
};
struct arrival_late {
  relocation_id relocation;
};

/// gateway -> itself: if nothing was delivered since, tokens were lost between two owners.
struct gap_check {
  request_id request;
  std::uint32_t delivered = 0;
};

TROUPE_FIELDS(worker_started, worker, roles)
TROUPE_FIELDS(look_around)
TROUPE_FIELDS(drain_worker, worker)
TROUPE_FIELDS(search_registry)
TROUPE_FIELDS(registry_found)
TROUPE_FIELDS(registry_missing, why)
TROUPE_FIELDS(join_unanswered, attempt)
TROUPE_FIELDS(stop_head)
TROUPE_FIELDS(relocation_late, relocation, step)
TROUPE_FIELDS(arrival_late, relocation)
TROUPE_FIELDS(gap_check, request, delivered)
TROUPE_FIELDS(subscribe_reports)
TROUPE_FIELDS(deadline_passed, request, epoch)
TROUPE_FIELDS(resubmit_request, request, epoch)
TROUPE_FIELDS(start_worker, worker)

/// client -> gateway, inside one process.
struct local_submit {
  generation_request request;
  std::shared_ptr<generation_observer> observer;
};

}  // namespace troupe

// Those that may cross the wire, each by its own name, and those that an actor sends to actors of its own process.
#define TROUPE_WIRE_MESSAGES(add)                                                                                    \
  add(submit_request) add(assign_request) add(token_chunk) add(request_ended) add(cancel_request) add(request_lost)  \
      add(load_report) add(scheduler_report) add(worker_started) add(subscribe_reports) add(ask_workers)             \
          add(workers_status) add(ask_requests) add(requests_status) add(migrate_request) add(join_cluster)          \
              add(cluster_joined) add(join_refused) add(leave_cluster) add(drain_node) add(stop_node)                \
                  add(members_changed) add(ask_status) add(command_done) add(relocate_request) add(offer_relocation) \
                      add(relocation_accepted) add(relocation_refused) add(commit_relocation) add(relocation_done)   \
                          add(abort_relocation) add(request_taken) add(request_given) add(relocate_some)             \
                              add(set_policy) add(set_local_order) add(ask_policies) add(policies_status)
#define TROUPE_LOCAL_MESSAGES(add)                                                                       \
  add(deadline_passed) add(resubmit_request) add(start_worker) add(drain_worker) add(search_registry)    \
      add(registry_found) add(registry_missing) add(join_unanswered) add(stop_head) add(relocation_late) \
          add(arrival_late) add(gap_check) add(look_around)

#define TROUPE_ADD_TYPE_ID(type) CAF_ADD_TYPE_ID(troupe, (troupe::type))
CAF_BEGIN_TYPE_ID_BLOCK(troupe, first_custom_type_id)
TROUPE_WIRE_MESSAGES(TROUPE_ADD_TYPE_ID)
TROUPE_LOCAL_MESSAGES(TROUPE_ADD_TYPE_ID)
CAF_END_TYPE_ID_BLOCK(troupe)
#undef TROUPE_ADD_TYPE_ID

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::local_submit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::engine_report)
