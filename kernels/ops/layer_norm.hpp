// y[i] = (x[i] - m) / sqrt(mean((x - m)^2) + epsilon) * weight[i] + bias[i] with m = mean(x), over one row of n floats.
// y may be x. Ba, Kiros and Hinton, "Layer Normalization", 2016.
#pragma once

#include <cstdint>

namespace troupe::kernels {

/// How far y[i] may lie from the exact value. normed: the exact value before weight and bias; weight, bias: magnitudes
/// of this element's; largest: of |x| over the row, in units of sqrt(variance + epsilon). A mean is off by the rounding
/// of its sum, and so are all distances from it.
constexpr double layer_norm_error_bound(std::uint32_t n, double normed, double weight, double bias, double largest) {
  const double size = normed < 0 ? -normed : normed;
  return (n / 8.0 + 16.0) * 0x1p-24 * (weight * (1 + size) * (1 + largest) + bias);
}

namespace plain {
void layer_norm(const float* x, const float* weight, const float* bias, std::uint32_t n, float epsilon, float* y);
}
}  // namespace troupe::kernels
