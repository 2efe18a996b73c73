#include "policies/hexgen_text2sql.hpp"

#include <algorithm>
#include <limits>

namespace troupe::policies {

double time_alone(const dispatch_request& request, const dispatch_worker& worker) {
  return request.prompt_tokens * worker.token_s + request.predicted_tokens * worker.step_s;
}

std::optional<worker_id> hexgen_dispatch::choose(const dispatch_request& request,
                                                 std::span<const dispatch_worker> workers, std::uint64_t) const {
  const auto work = [&](const dispatch_worker& w) { return settings_.cumulative ? w.work_ever_s : w.work_s; };
  double quickest = std::numeric_limits<double>::infinity();
  double sum = 0;
  for (const auto& worker : workers) {
    // A worker whose pace is not known yet is tried: it is as quick as the quickest.
    if (const double alone = time_alone(request, worker); alone > 0) quickest = std::min(quickest, alone);
    sum += work(worker);
  }
  const double mean = workers.empty() ? 0 : sum / static_cast<double>(workers.size());
  return least(workers, [&](const dispatch_worker& w) {
    const double alone = time_alone(request, w);
    const double suitability = alone > 0 ? quickest / alone : 1.0;
    const double load = mean > 0 ? work(w) / mean : 0.0;
    return (1 - settings_.alpha) * load - settings_.alpha * suitability;
  });
}

}  // namespace troupe::policies
