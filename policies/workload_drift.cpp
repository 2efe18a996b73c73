#include "policies/workload_drift.hpp"

#include <algorithm>

namespace troupe::policies {
namespace {

bool has_moved(double from, double to, double threshold) {
  return std::max(from, to) > (1.0 + threshold) * std::min(from, to);
}

}  // namespace

workload_statistics statistics_of(std::span<const request_lengths> lengths, double seconds) {
  if (lengths.empty() || !(seconds > 0)) return {};
  double prompt = 0, output = 0;
  for (const auto& request : lengths) {
    prompt += request.prompt_tokens;
    output += request.output_tokens;
  }
  const auto count = static_cast<double>(lengths.size());
  return {lengths.size(), count / seconds, prompt / count, output / count};
}

workload_drift replan_needed(const workload_statistics& planned_for, const workload_statistics& seen,
                             const drift_thresholds& thresholds) {
  if (std::min(planned_for.requests, seen.requests) < thresholds.min_requests) return {};
  return {has_moved(planned_for.rate, seen.rate, thresholds.rate),
          has_moved(planned_for.mean_prompt_tokens, seen.mean_prompt_tokens, thresholds.prompt_tokens),
          has_moved(planned_for.mean_output_tokens, seen.mean_output_tokens, thresholds.output_tokens)};
}

}  // namespace troupe::policies
