// Global order: which worker takes the request at the front of the scheduler's queue. Pure; O(workers).
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::policies {

/// A worker as the scheduler knows it: its last report, and what was assigned since.
struct dispatch_worker {
  worker_id id;
  std::uint32_t requests = 0;      // assigned and not ended
  std::uint32_t max_requests = 0;  // past this it takes none
  std::uint32_t blocks_used = 0;
  std::uint32_t blocks_total = 0;
  std::uint32_t tokens_to_compute = 0;  // of prompts, those of later assignments included
  std::uint32_t sequences_running = 0;  // admitted by its engine
  std::uint32_t blocks_wanted = 0;      // by the first that waits in its engine; 0: none does
  std::uint64_t blocks_queued = 0;      // by all that wait there
  std::uint32_t requests_coming = 0;    // assigned since the report
  std::uint32_t blocks_coming = 0;      // that those want at first
  std::uint32_t requests_urgent = 0;    // with a priority before the ordinary one
  std::uint32_t cached_tokens = 0;      // of this request's prompt, as far as is known; for prefix_aware
  double token_s = 0;                   // its pace: of a prompt token, and
  double step_s = 0;                    // of a decode step; 0: not known yet
  double work_s = 0;                    // predicted work assigned and not ended, as if each request were alone there
  double work_ever_s = 0;               // the same since its start
  bool draining = false;
  bool pinned = false;  // it is never stopped; for scaling
};

struct dispatch_request {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t predicted_tokens = 0;  // of the answer
  std::int32_t priority = 0;
};

/// Whether a worker can take a request at all.
constexpr bool has_room(const dispatch_worker& worker) {
  return !worker.draining && worker.requests < worker.max_requests;
}

class dispatch_policy {
 public:
  virtual ~dispatch_policy() = default;
  virtual std::string_view name() const = 0;
  /// A worker with room, or nullopt when none has. `turn` counts the decisions made before.
  virtual std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                          std::uint64_t turn) const = 0;
  /// Whether it looks at cached_tokens, which costs the scheduler a hash of the prompt.
  virtual bool wants_cached_tokens() const { return false; }
};

/// What can be chosen about dispatch policies.
struct dispatch_settings {
  double alpha = 0.2;            // hexgen: suitability against balance, 0 to 1
  bool cumulative_work = false;  // hexgen: as its artifact has it, work is never taken off again
  std::uint32_t headroom = 0;    // llumnix: blocks kept free beside a request of urgent priority
  double balance_factor = 1.25;  // prefix_aware: of the mean load that a worker with the prefix may have
};

/// Each in turn, skipping who has no room.
class round_robin_dispatch final : public dispatch_policy {
 public:
  std::string_view name() const override { return "round_robin"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
};

/// Least prompt tokens still to compute, then fewest requests, then the lowest id.
class least_loaded_dispatch final : public dispatch_policy {
 public:
  std::string_view name() const override { return "least_loaded"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
};

/// Least memory in use or asked for by those that wait: INFaaS++, the baseline of Llumnix.
class least_memory_dispatch final : public dispatch_policy {
 public:
  std::string_view name() const override { return "least_memory"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
};

/// The worker with the smallest `load(worker)` among those with room; ties: the lowest id.
template <class Load>
std::optional<worker_id> least(std::span<const dispatch_worker> workers, Load&& load) {
  const dispatch_worker* best = nullptr;
  decltype(load(workers.front())) best_load{};
  for (const auto& worker : workers) {
    if (!has_room(worker)) continue;
    const auto its = load(worker);
    if (best != nullptr && !(its < best_load || (its == best_load && worker.id < best->id))) continue;
    best = &worker;
    best_load = its;
  }
  return best == nullptr ? std::nullopt : std::optional(best->id);
}

/// By name; errors list the names there are.
result<std::unique_ptr<dispatch_policy>> make_dispatch_policy(std::string_view name,
                                                              const dispatch_settings& settings = {});
std::vector<std::string> dispatch_policy_names();

}  // namespace troupe::policies
