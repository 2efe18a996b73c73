// Rotary position embedding: each pair (a, b) of a head becomes (a cos - b sin, a sin + b cos), with the angle of the
// pair at this position. Pair i of every head uses cosine_sine[i] = {cos, sin}; head_dim is even.
// Su et al., "RoFormer", 2021.
#pragma once

#include "kernels/types.hpp"

#include <cstdint>

namespace troupe::kernels {

/// How far an element may lie from the exact value, relative to |a| + |b| of its pair.
inline constexpr double rope_relative_error = 0x1p-22;

namespace plain {
void rope(float* x, std::uint32_t n_heads, std::uint32_t head_dim, rope_pairing pairing, const float* cosine_sine);
}
}  // namespace troupe::kernels
