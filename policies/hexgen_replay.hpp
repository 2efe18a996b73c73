// Replays calls of the last minutes against a rough model of the workers, to see what another alpha would have done to
// them: HexGen-Text2SQL tunes its one constant this way, while it serves. Calls come when they came; a worker serves so
// many at a time, each as fast as if it were alone, the others in their order.
//
// Pure; O(calls x workers) a replay.
#pragma once

#include "policies/dispatch.hpp"
#include "policies/hexgen_text2sql.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe::policies {

struct replayed_call {
  double arrival_s = 0;  // ascending
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 0;
};

struct replayed_worker {
  double token_s = 0;  // of a prompt token
  double step_s = 0;   // of a decode step
  std::uint32_t places = 1;
};

/// The 95th percentile of the calls' times from arrival to end, s; 0 of no calls.
double replay_p95(std::span<const replayed_call> calls, std::span<const replayed_worker> workers,
                  const hexgen_settings& settings);

/// The alpha of the grid with the least replay_p95.
double tune_alpha(std::span<const double> grid, std::span<const replayed_call> calls,
                  std::span<const replayed_worker> workers, bool cumulative);

/// The paper's grid.
inline constexpr double alpha_grid[] = {0.0, 0.1, 0.2, 0.3, 0.4, 0.5};

}  // namespace troupe::policies
