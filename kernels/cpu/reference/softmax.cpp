#include "kernels/ops/softmax.hpp"

#include <cmath>
#include <limits>

namespace troupe::kernels::plain {

std::uint32_t argmax(const float* x, std::size_t n) {
  std::size_t best = 0;
  bool found = false;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::isnan(x[i]) || (found && !(x[i] > x[best]))) continue;
    best = i;
    found = true;
  }
  return static_cast<std::uint32_t>(best);
}

float log_sum_exp(const float* x, std::size_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return x[i];
    if (x[i] > largest) largest = x[i];
  }
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    sum += std::exp(double{x[i]} - double{largest});
  return static_cast<float>(double{largest} + std::log(sum));
}

}  // namespace troupe::kernels::plain
