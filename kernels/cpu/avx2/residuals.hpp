// Which blocks of a prepared row get a second term (layout.hpp): one rule for AVX2 and AVX-512.
#pragma once

#include "kernels/cpu/avx2/layout.hpp"

namespace troupe::kernels::avx2 {
namespace {

/// Calls add(b) for the blocks of a row, in order, whose step exceeds residual_threshold; d_of(b) is the step of block
/// b. Returns how many they are.
template <class StepOf, class Add>
[[gnu::always_inline]] inline std::uint32_t for_each_residual(std::uint32_t n_in, const StepOf& d_of, const Add& add) {
  const std::uint32_t n_blocks = n_in / block;
  float squares = 0;
  for (std::uint32_t b = 0; b < n_blocks; ++b)
    squares += d_of(b) * d_of(b);
  const float threshold = residual_threshold * squares / static_cast<float>(n_blocks);
  std::uint32_t n = 0;
  for (std::uint32_t b = 0; b < n_blocks && n < most_residuals(n_in); ++b) {
    if (!(d_of(b) * d_of(b) > threshold)) continue;
    add(b);
    ++n;
  }
  return n;
}

}  // namespace
}  // namespace troupe::kernels::avx2
