// The two operations sampling takes from a table, in their plainest form, so that its tests depend on no kernel.
#pragma once

#include "kernels/table.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::test {

inline std::uint32_t plain_argmax(const float* x, std::size_t n) {
  std::uint32_t best = 0;
  for (std::uint32_t i = 1; i < n; ++i)
    if (x[i] > x[best] || (std::isnan(x[best]) && !std::isnan(x[i]))) best = i;
  return best;
}

inline float plain_log_sum_exp(const float* x, std::size_t n) {
  double largest = x[0], sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    largest = std::max<double>(largest, x[i]);
  for (std::size_t i = 0; i < n; ++i)
    sum += std::exp(x[i] - largest);
  return static_cast<float>(largest + std::log(sum));
}

inline const kernels::table& plain_table() {
  static const kernels::table table = [] {
    kernels::table t{};
    t.isa = "plain";
    t.argmax = plain_argmax;
    t.log_sum_exp = plain_log_sum_exp;
    return t;
  }();
  return table;
}

}  // namespace troupe::test
