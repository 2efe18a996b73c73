// y[i] = gelu(gate[i]) * up[i] with gelu(x) = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the approximation by
// tanh that Gemma was trained with. y may be gate or up. Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016;
// Shazeer, "GLU Variants Improve Transformer", 2020.
#pragma once

#include <cstddef>

namespace troupe::kernels {

/// How far y[i] may lie from the exact value, relative to it: half of it is x / (1 + e^-z), whose exponent z is off by
/// a few roundings of its own size, at most 104 before the result leaves the range of a float ...
constexpr double gelu_mul_relative_error(double gate) {
  const double z = 1.5957691216057308 * gate * (1 + 0.044715 * gate * gate);
  const double size = z < 0 ? -z : z;
  return ((size < 104 ? size : 104) * 4 + 8) * 0x1p-24;
}
/// ... and, where e^-z does leave it (gate below -10), relative to up[i].
inline constexpr double gelu_mul_absolute_error = 1e-35;

namespace plain {
void gelu_mul(const float* gate, const float* up, std::size_t n, float* y);
}
}  // namespace troupe::kernels
