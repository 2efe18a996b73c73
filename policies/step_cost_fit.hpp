// Fits a step_cost to measured steps, by least squares on the relative error: a step of 10 ms that is 2 ms off weighs
// as much as one of 1 s that is 200 ms off. No coefficient is negative, so that a fit never promises time back for more
// work. Steps of prompts alone give the prompt's coefficients, steps of decoding alone the decoding ones; steps of both
// follow from the two (step_cost.hpp) and only count in the error.
//
// Pure. Cost: O(samples).
#pragma once

#include "base/result.hpp"
#include "policies/step_cost.hpp"

#include <cstdint>
#include <span>

namespace troupe::policies {

struct step_sample {
  step_shape shape;
  double time_ms = 0;
};

struct step_cost_fit {
  step_cost cost;
  // Of |predicted - measured| / measured over all samples; 0.1 is 10 %.
  double median_error = 0;
  double p90_error = 0;
};

/// Samples in no order. `large_batch`: from so many sequences on, decoding gets coefficients of its own; 0: it does
/// not. Errors name what is missing: "samples.prompt" (at least 6 steps of prompts alone, of 3 different lengths),
/// "samples.decoding" and "samples.large" (at least 6 steps of decoding alone, in which context and sequences vary
/// independently), "samples.time_ms" (positive numbers only).
result<step_cost_fit> fit_step_cost(std::span<const step_sample> samples, std::uint32_t large_batch = 0);

}  // namespace troupe::policies
