// The scheduler actor: the bounded global queue and the books of who has which request. Decides by a dispatch policy.
#pragma once

#include "actors/messages.hpp"
#include "policies/dispatch.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace troupe {

class metrics;

struct scheduler_config {
  std::shared_ptr<const policies::dispatch_policy> dispatch;
  std::size_t queue_capacity = 1024;  // requests that wait, the workers' backlogs included
  // Requests a worker holds beyond what its engine runs at once, so that a freed place is taken within the same step.
  std::uint32_t worker_backlog = 16;
  std::chrono::milliseconds drain_every{500};  // a worker that drains is asked again to give its requests away
  std::shared_ptr<troupe::metrics> metrics{};  // may be null
};

struct scheduler_state {
  static inline const char* name = "scheduler";

  struct request_entry {
    request_state state = request_state::queued;
    troupe::epoch epoch;
    caf::actor gateway;
    std::int32_t priority = 0;
    std::uint64_t arrival = 0;
    caf::actor_clock::time_point queued_since;
    std::uint32_t prompt_tokens = 0;
    std::optional<generation_request> request;  // while queued
    worker_id worker;                           // once assigned
  };
  struct worker_entry {
    caf::actor handle;
    policies::dispatch_worker load;
    load_report report;
    std::uint8_t roles = worker_role::both;
    bool reported = false;                       // takes nothing before its first report
    bool draining = false;                       // takes nothing any more
    caf::actor_clock::time_point moves_again{};  // not asked to give requests away before
  };
  struct queue_key {
    std::int32_t priority;
    std::uint64_t arrival;
    request_id id;
    friend auto operator<=>(const queue_key&, const queue_key&) = default;
  };

  scheduler_config config;
  std::map<request_id, request_entry> requests;  // ordered: what is sent because of it must not depend on hashes
  std::set<queue_key> queue;
  std::map<worker_id, worker_entry> workers;
  std::set<worker_id> drained;  // also those that are away: a worker that comes back takes nothing either
  std::vector<caf::actor> subscribers;
  std::uint64_t arrivals = 0;
  std::uint64_t turn = 0;
  std::uint64_t rejected_events = 0;  // events with no meaning in the request's state
};

caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self, scheduler_config config);

}  // namespace troupe
