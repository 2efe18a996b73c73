// The normal distribution, drawn with base/random.hpp.
#pragma once

#include "base/random.hpp"

#include <cmath>
#include <numbers>

namespace troupe {

/// Standard normal, of two independent numbers that are uniform in [0, 1) (Box and Muller, 1958).
inline double normal_of(double u, double v) {
  return std::sqrt(-2.0 * std::log(1.0 - u)) * std::cos(2.0 * std::numbers::pi * v);
}

/// The stream's next two numbers as one.
inline double draw_normal(random_stream& random) {
  const double u = random.unit();
  return normal_of(u, random.unit());
}

}  // namespace troupe
