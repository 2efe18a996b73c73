// y[i] = gate[i] / (1 + exp(-gate[i])) * up[i]: the gated half of a feed-forward layer. y may be gate or up.
// Shazeer, "GLU Variants Improve Transformer", 2020.
#pragma once

#include <cstddef>

namespace troupe::kernels {

/// How far y[i] may lie from the exact value, relative to it ...
inline constexpr double silu_mul_relative_error = 0x1p-21;
/// ... and, where exp(-gate) leaves the range of a float (gate below -87), relative to up[i].
inline constexpr double silu_mul_absolute_error = 1e-35;

namespace plain {
void silu_mul(const float* gate, const float* up, std::size_t n, float* y);
}
}  // namespace troupe::kernels
