// Has the workload moved so far from the one a placement was planned for that planning again is worth it? (DistServe,
// OSDI 2024, section 4.3: the workload's statistics are watched, a large shift starts the planner anew.) Pure.
#pragma once

#include "policies/goodput.hpp"

#include <cstdint>
#include <span>

namespace troupe::policies {

struct workload_statistics {
  std::uint64_t requests = 0;
  double rate = 0;  // a second
  double mean_prompt_tokens = 0;
  double mean_output_tokens = 0;
};

/// Of requests that arrived within so many seconds. All zero when there are none or no time passed.
workload_statistics statistics_of(std::span<const request_lengths> lengths, double seconds);

/// Relative changes, up or down, that are let pass; a factor of 1.3 and one of 1/1.3 count alike.
struct drift_thresholds {
  double rate = 0.3;
  double prompt_tokens = 0.3;
  double output_tokens = 0.3;
  std::uint64_t min_requests = 200;  // on either side; below, chance alone moves means that far
};

struct workload_drift {
  bool rate = false;
  bool prompt_tokens = false;
  bool output_tokens = false;
  explicit operator bool() const { return rate || prompt_tokens || output_tokens; }
};

/// What has changed beyond the thresholds; nothing while there are too few requests to tell.
workload_drift replan_needed(const workload_statistics& planned_for, const workload_statistics& seen,
                             const drift_thresholds& thresholds = {});

}  // namespace troupe::policies
