// What sampling asks of a row of logits.
//
// argmax: the lowest index among the largest. A NaN never wins; 0 for an empty row and for a row of NaNs only.
// log_sum_exp: the natural logarithm of the sum of exp(x[i]). Minus infinity for an empty row, NaN if any is NaN.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::kernels {

/// How far log_sum_exp may lie from the exact value, beside the rounding of the result itself to float.
inline constexpr double log_sum_exp_absolute_error = 1e-6;

namespace plain {
std::uint32_t argmax(const float* x, std::size_t n);
float log_sum_exp(const float* x, std::size_t n);
}  // namespace plain
}  // namespace troupe::kernels
