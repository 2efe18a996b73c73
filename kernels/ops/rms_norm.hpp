// y[i] = x[i] * weight[i] / sqrt(mean(x^2) + epsilon), over one row of n floats. y may be x.
// Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.
#pragma once

#include <cstdint>

namespace troupe::kernels {

/// How far y[i] may lie from the exact value, relative to it: a float sum of n squares in eight lanes or more.
constexpr double rms_norm_relative_error(std::uint32_t n) {
  return (n / 8.0 + 16.0) * 0x1p-24;
}

namespace plain {
void rms_norm(const float* x, const float* weight, std::uint32_t n, float epsilon, float* y);
}
}  // namespace troupe::kernels
