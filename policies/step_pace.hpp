// How fast an engine is, as seen from outside: what a decode step takes, and what each prompt token adds to a step.
// Exponential averages over its steps. Pure state, a few nanoseconds a step.
#pragma once

#include "policies/step_cost.hpp"

#include <cstdint>

namespace troupe::policies {

class step_pace {
 public:
  /// A step of this shape took so long. Empty steps are ignored, and those that took no time.
  void observe(const step_shape& shape, duration took);

  /// Of a step that only decodes, at the batch sizes of late; a guess before the first one.
  duration step_time() const;
  /// That a prompt token adds; a guess before the first one.
  duration token_time() const;
  /// The same as whole numbers; 0: none was seen.
  std::uint32_t step_us() const;
  std::uint32_t token_ns() const;

 private:
  double step_ms_ = 0;
  double token_ms_ = 0;
};

}  // namespace troupe::policies
