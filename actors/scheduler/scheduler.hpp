// The scheduler actor: the bounded global queue and the books of who has which request. What it decides is in policies:
//
//   who is next in the queue     priority, then policies/fair_share between tenants
//   which worker takes it        policies/dispatch
//   who gives requests away      policies/llumnix_rescheduling, and draining workers
//   how many workers there are   policies/llumnix_rescheduling
//   how long it will take        policies/length_prediction, and each worker's reported pace
//   what a program's call may take of the program's objective   policies/program_history
#pragma once

#include "actors/messages.hpp"
#include "actors/scheduler/worker_books.hpp"
#include "policies/dispatch.hpp"
#include "policies/fair_share.hpp"
#include "policies/length_prediction.hpp"
#include "policies/llumnix_rescheduling.hpp"
#include "policies/prefix_aware.hpp"
#include "policies/program_history.hpp"

#include <functional>
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
  policies::dispatch_settings dispatching{};  // of policies that are set later
  std::size_t queue_capacity = 1024;          // requests that wait, the workers' backlogs included
  // Requests a worker holds beyond what its engine runs at once, so that a freed place is taken within the same step.
  std::uint32_t worker_backlog = 16;
  bool backlog_as_suits = false;               // it goes with the policies instead, see policies/catalogue
  std::string local_order{};                   // that workers are started with; empty: not known
  std::chrono::milliseconds drain_every{500};  // a worker that drains is asked again to give its requests away
  std::shared_ptr<troupe::metrics> metrics{};  // may be null

  std::optional<policies::rescheduling_settings> rescheduling{};  // nullopt: requests stay where they are
  policies::rescheduling_settings rescheduling_later{};           // when it is set later
  std::chrono::milliseconds reschedule_every{25};
  std::optional<policies::scaling_settings> scaling{};  // nullopt: as many workers as there are
  std::chrono::milliseconds scale_every{10'000};
  std::chrono::milliseconds scale_after{0};       // longer before the first look: workers may be on their way already
  std::chrono::milliseconds start_limit{60'000};  // a worker that was asked for is waited for so long
  std::function<void()> start_worker{};           // one more, somewhere: it will come by itself
  std::function<bool(worker_id worker)> may_stop{};       // empty: any may be stopped
  std::function<void(worker_id worker)> stop_worker{};    // it is empty
  std::shared_ptr<policies::length_predictor> lengths{};  // nullptr: answers are as long as they may be
  std::map<std::string, double> tenant_weights{};
};

struct scheduler_state {
  static inline const char* name = "scheduler";

  struct request_entry {
    request_state state = request_state::queued;
    troupe::epoch epoch;
    caf::actor gateway;
    std::int32_t priority = 0;
    double tag = 0;  // its tenant's share
    std::uint64_t arrival = 0;
    caf::actor_clock::time_point arrived;       // in the cluster
    caf::actor_clock::time_point queued_since;  // here
    std::uint32_t prompt_tokens = 0;
    policies::length_features features;
    double predicted_tokens = 0;
    double work_s = 0;  // on its worker
    std::string program;
    std::optional<generation_request> request;  // while queued
    worker_id worker;                           // once assigned
    std::optional<worker_id> decodes_at;        // another worker that is expected to take it after its prefill

    bool is_urgent() const { return priority < 0; }
  };
  struct queue_key {
    std::int32_t priority;
    double tag;
    std::uint64_t arrival;
    request_id id;
    friend auto operator<=>(const queue_key&, const queue_key&) = default;
  };

  scheduler_config config;
  std::map<request_id, request_entry> requests;  // ordered: what is sent because of it must not depend on hashes
  std::set<queue_key> queue;
  std::map<worker_id, worker_books> workers;
  std::set<worker_id> drained;  // also those that are away: a worker that comes back takes nothing either
  std::vector<caf::actor> subscribers;
  std::uint64_t arrivals = 0;
  std::uint64_t turn = 0;
  std::uint64_t rejected_events = 0;  // events with no meaning in the request's state

  policies::fair_share shares;
  policies::program_history programs;
  policies::prefix_directory prefixes{100'000};
  std::string local_order;       // of every worker; empty: as each was started
  std::set<worker_id> retiring;  // drained to be stopped
  std::uint32_t starting = 0;    // workers that were asked for
  caf::actor_clock::time_point starts_until{};
  caf::actor_clock::time_point reschedules_again{};
};

using scheduler_pointer = caf::stateful_actor<scheduler_state>*;

caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self, scheduler_config config);

}  // namespace troupe
