// From f32 weights to the formats of model files, each block with its own scale, values rounded to nearest, ties away
// from zero; the formats of 32 weights a block bit for bit as ggml's reference quantisation does it. Cost: one pass;
// for making test models, not for serving.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::gguf {

/// IEEE 754 binary16, rounded to nearest even; overflow gives infinity, NaN stays NaN.
std::uint16_t to_half(float value);
/// The upper half of binary32, rounded to nearest even; NaN stays NaN.
std::uint16_t to_bfloat16(float value);

/// `weights` are rows of row_length, which must be a whole number of blocks (a programmer's error if not).
/// Error of a weight w in a block with largest magnitude a and range r = max - min: q8_0 about a / 254, q4_0 about a /
/// 8 at the end that has no code, else a / 16, q4_1 about r / 30, q5_0 and q5_1 half of that, each plus the rounding of
/// the block's scale to f16. The K formats like q4_1, q5_1 and a 6-bit q5_0, plus the rounding of their scales to the
/// 64th or 128th part of the largest in their 256 weights.
std::vector<std::byte> quantize(std::span<const float> weights, std::size_t row_length, kernels::weight_type type);

}  // namespace troupe::gguf
