// Causal attention of neighbouring positions of one sequence over its block table, and the writing of that table.
// head_dim is a multiple of 8 up to max_head_dim; up to max_query_heads query heads share a kv head.
//
// For query i and head h, with n = first_position + i + 1 and b = 0 or, with a window, max(0, n - window):
//   s[t] = scale * (q · K[t]),  p = softmax(s[b..n)),  out = sum of p[t] V[t]
//
// Positions past n or before b never count, whatever bits their slots hold: a block's unwritten slots may hold NaNs,
// and the slots of later queries of the same call are not seen by earlier ones. So the bits of an output are the same
// whether its position was computed alone (decode), with its neighbours (prefill) or from blocks that another sequence
// filled.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels {

inline constexpr std::uint32_t max_head_dim = 256;
inline constexpr std::uint32_t max_query_heads = 32;

/// How far an output element may lie from the exact value over the stored K and V. score_sum: the largest
/// scale * sum of |q[d] K[t][d]| over visible t; value: the largest |V[t][d]| over visible t.
/// A score is off by its float sum, a probability by twice that and by exp, the output by its own float sum.
constexpr double attention_error_bound(std::uint32_t head_dim, std::uint32_t n_visible, double score_sum,
                                       double value) {
  const double score_error = (head_dim + 4.0) * 0x1p-24 * score_sum;
  return value * (2.5 * score_error + (n_visible + 32.0) * 0x1p-23);
}

namespace plain {
void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block);
void attention(const attention_args& args);
}  // namespace plain
}  // namespace troupe::kernels
