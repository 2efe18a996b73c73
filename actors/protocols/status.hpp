// What an operator asks a scheduler, and what it answers. Each question is a request with one answer; there is no
// state.
#pragma once

#include "actors/protocols/request.hpp"
#include "base/fields.hpp"
#include "base/ids.hpp"

#include <cstdint>
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

struct workers_status {
  std::uint32_t requests_queued = 0;
  std::vector<load_report> workers;  // by worker id
};
TROUPE_FIELDS(workers_status, requests_queued, workers)

}  // namespace troupe
