// Random states of a few workers for the tests of dispatch: small numbers, so that ties and full workers are common.
#pragma once

#include "base/random.hpp"
#include "policies/dispatch.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::policies {

inline std::uint32_t small(random_stream& random, std::uint64_t bound) {
  return static_cast<std::uint32_t>(random.below(bound));
}

/// Ids in no order; each with some room with a probability of three quarters.
inline std::vector<dispatch_worker> random_workers(random_stream& random, std::size_t at_most = 6) {
  std::vector<dispatch_worker> workers(random.below(at_most + 1));
  std::uint32_t next_id = 0;
  for (auto& w : workers) {
    w.id = worker_id{next_id += 1 + small(random, 3)};
    w.max_requests = small(random, 4);
    w.requests = random.below(4) == 0 ? w.max_requests : small(random, w.max_requests + 1);
    w.blocks_total = 10 * small(random, 4);
    w.blocks_used = small(random, w.blocks_total + 1);
    w.tokens_to_compute = 100 * small(random, 3);
    w.sequences_running = small(random, 4);
    w.blocks_wanted = small(random, 3) * small(random, 5);
    w.blocks_queued = w.blocks_wanted == 0 ? 0 : w.blocks_wanted + small(random, 5);
    w.requests_coming = small(random, 3);
    w.blocks_coming = w.requests_coming * small(random, 4);
    w.requests_urgent = small(random, 2);
    w.cached_tokens = 64 * small(random, 4);
    w.token_s = 0.001 * small(random, 3);
    w.step_s = 0.02 * small(random, 3);
    w.work_s = 0.5 * small(random, 5);
    w.work_ever_s = w.work_s + 0.5 * small(random, 5);
    w.draining = random.below(6) == 0;
  }
  for (std::size_t i = workers.size(); i > 1; --i)
    std::swap(workers[i - 1], workers[random.below(i)]);
  return workers;
}

inline dispatch_request random_request(random_stream& random) {
  return {64 * small(random, 4), 1 + small(random, 50), static_cast<std::int32_t>(small(random, 3)) - 1};
}

/// The worker with room that no other with room is better than, the lowest id of several: a plain search.
inline std::optional<worker_id> search_best(
    const std::vector<dispatch_worker>& workers,
    const std::function<bool(const dispatch_worker& one, const dispatch_worker& other)>& is_better) {
  std::optional<worker_id> best;
  for (const auto& one : workers) {
    const bool has_place = !one.draining && one.requests < one.max_requests;
    const bool beaten = std::any_of(workers.begin(), workers.end(), [&](const dispatch_worker& other) {
      return !other.draining && other.requests < other.max_requests && is_better(other, one);
    });
    if (has_place && !beaten && (!best || one.id < *best)) best = one.id;
  }
  return best;
}

}  // namespace troupe::policies
