// What an operator asks a scheduler, and what it answers. Each question is a request with one answer; there is no
// state.
#pragma once

#include "actors/protocols/request.hpp"
#include "base/fields.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// Move a request to a worker. Answered by command_done.
struct migrate_request {
  request_id request;
  worker_id worker;
};
TROUPE_FIELDS(migrate_request, request, worker)

/// Answered by requests_status.
struct ask_requests {};
TROUPE_FIELDS(ask_requests)

struct request_info {
  request_id request;
  troupe::epoch epoch;
  std::int32_t priority = 0;
  std::uint32_t prompt_tokens = 0;
  bool queued = false;
  worker_id worker;  // unless queued
};
TROUPE_FIELDS(request_info, request, epoch, priority, prompt_tokens, queued, worker)

struct requests_status {
  std::vector<request_info> requests;  // by id
};
TROUPE_FIELDS(requests_status, requests)

/// Answered by workers_status.
struct ask_workers {};
TROUPE_FIELDS(ask_workers)

/// operator -> scheduler, answered by command_done: another policy from now on. Kinds: "dispatch", "scheduler" (the
/// local order of every worker, those that come later included), "rescheduling" ("llumnix" or "none").
struct set_policy {
  std::string kind;
  std::string name;
};
TROUPE_FIELDS(set_policy, kind, name)

/// scheduler -> worker.
struct set_local_order {
  std::string name;
};
TROUPE_FIELDS(set_local_order, name)

/// Answered by policies_status.
struct ask_policies {};
TROUPE_FIELDS(ask_policies)

struct policies_status {
  std::string dispatch;
  std::string scheduler;  // empty: as each worker was started
  std::string rescheduling;
};
TROUPE_FIELDS(policies_status, dispatch, scheduler, rescheduling)

struct workers_status {
  std::uint32_t requests_queued = 0;
  std::vector<load_report> workers;  // by worker id
};
TROUPE_FIELDS(workers_status, requests_queued, workers)

}  // namespace troupe
