#include "policies/hexgen_replay.hpp"

#include <algorithm>
#include <queue>

namespace troupe::policies {
namespace {

/// A worker and when each of its places becomes free.
struct replayed_state {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  std::priority_queue<std::pair<double, double>, std::vector<std::pair<double, double>>, std::greater<>> ends;  // work
};

}  // namespace

double replay_p95(std::span<const replayed_call> calls, std::span<const replayed_worker> workers,
                  const hexgen_settings& settings) {
  if (calls.empty() || workers.empty()) return 0;
  const hexgen_dispatch policy(settings);
  std::vector<replayed_state> states(workers.size());
  std::vector<dispatch_worker> loads(workers.size());
  for (std::size_t w = 0; w < workers.size(); ++w) {
    loads[w].id = worker_id{static_cast<std::uint32_t>(w)};
    loads[w].max_requests = std::numeric_limits<std::uint32_t>::max();
    loads[w].token_s = workers[w].token_s;
    loads[w].step_s = workers[w].step_s;
    for (std::uint32_t place = 0; place < std::max(workers[w].places, 1u); ++place)
      states[w].free_at.push(0.0);
  }
  std::vector<double> times;
  times.reserve(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto& call = calls[i];
    for (std::size_t w = 0; w < workers.size(); ++w)
      for (auto& ends = states[w].ends; !ends.empty() && ends.top().first <= call.arrival_s; ends.pop())
        loads[w].work_s = std::max(loads[w].work_s - ends.top().second, 0.0);
    const dispatch_request request{call.prompt_tokens, call.output_tokens, 0};
    const std::size_t chosen = policy.choose(request, loads, i)->value;
    const double work_s = time_alone(request, loads[chosen]);
    loads[chosen].work_s += work_s;
    loads[chosen].work_ever_s += work_s;
    auto& state = states[chosen];
    const double end_s = std::max(state.free_at.top(), call.arrival_s) + work_s;
    state.free_at.pop();
    state.free_at.push(end_s);
    state.ends.emplace(end_s, work_s);
    times.push_back(end_s - call.arrival_s);
  }
  const auto rank = static_cast<std::size_t>(0.95 * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(rank), times.end());
  return times[rank];
}

double tune_alpha(std::span<const double> grid, std::span<const replayed_call> calls,
                  std::span<const replayed_worker> workers, bool cumulative) {
  double best = grid.empty() ? hexgen_settings{}.alpha : grid.front();
  double least_s = std::numeric_limits<double>::infinity();
  for (const double alpha : grid) {
    const double its_s = replay_p95(calls, workers, {alpha, cumulative});
    if (its_s < least_s) best = alpha, least_s = its_s;
  }
  return best;
}

}  // namespace troupe::policies
