// An engine of a few lines for comparing local orders: every step takes the same time and computes what the policy
// grants. Requests are of three kinds in equal parts, with JITServe's objectives: streams (a first token within 1 s,
// then one each 0.1 s), answers (done within 10 s), compounds (three stages of two calls, the last done within 40 s).
#pragma once

#include "policies/batching.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::policies::toy {

struct world {
  std::uint32_t requests = 500;
  double load = 1.15;                // of what the engine can draw
  std::uint32_t max_running = 32;    // rows of a step
  std::uint32_t max_sequences = 64;  // admitted at once
  std::uint32_t blocks = 4'000;      // of 16 tokens
  double predictor_error = 0.5;      // sigma of the logarithm; 0: the predictor knows
  bool sub_deadlines = true;         // a compound's stages have theirs
  bool objectives = true;            // false: nobody says what it wants
  std::uint64_t seed = 1;
};

struct outcome {
  double goodput = 0;   // tokens that count, as a share of all
  double by_kind[3]{};  // the same of each kind: stream, answer, compound
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0;
  duration longest_wait{0};  // of a call, between being there and its first grant or between grants
};

outcome simulate(const batching_policy& policy, const world& of);

}  // namespace troupe::policies::toy
