// The dispatch table: every operation the engine computes with, once for each instruction set. The engine picks a table
// at start-up (best()) and never asks again. What an operation means, its error bound and its plain form are in
// ops/<op>.hpp.
//
// Rule 5, for every function here: the bits of an output row depend on that row's inputs alone. Never on how many rows
// are computed in one call, on which output range a thread was given, or on whether a position was reached by prefill
// or by decode. tests/kernels walks all tables for exactly this.
//
// No function allocates. Unless said otherwise pointers need no alignment beyond their element's, except `packed` and
// `activations`, which are 64-byte aligned.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace troupe::kernels {

struct table {
  std::string_view isa;  // "reference", "avx2", "avx512"

  // Linear layers (ops/linear.hpp): y = x W^T, W of (n_out, n_in). Weights are repacked once at load; activations are
  // converted once a row and used by every matrix that reads them.

  std::size_t (*packed_bytes)(weight_type type, std::uint32_t n_out, std::uint32_t n_in);
  // rows: n_out rows as they lie in the model file. packed: packed_bytes() bytes. Rows [row_begin, row_end) are packed,
  // so that threads can share the work; row_begin is a multiple of output_tile.
  void (*pack_linear)(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                      std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed);
  std::uint32_t output_tile;  // outputs computed together; a thread's range starts at a multiple of it
  // Which form of the activations a matrix of this type reads. Matrices of one form share one preparation.
  activation_format (*activation_format_for)(weight_type type);
  std::size_t (*activation_bytes)(activation_format format, std::uint32_t n_in);  // for one row, a multiple of 64
  // x: (n_rows, n_in), rows x_stride floats apart
  void (*prepare_activations)(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                              std::uint32_t n_in, std::byte* activations);
  // y[r * y_stride + o] for r in [0, n_rows), o in [out_begin, out_end)
  void (*linear)(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
                 std::uint32_t out_end, float* y, std::size_t y_stride);
  // One row of a weight matrix in floats (embedding look-up). row: as it lies in the model file.
  void (*dequantize_row)(weight_type type, const std::byte* row, std::uint32_t n, float* y);

  // Element-wise (ops/rms_norm.hpp, ops/layer_norm.hpp, ops/rope.hpp, ops/silu_mul.hpp, ops/gelu_mul.hpp, ops/gelu.hpp,
  // ops/add.hpp).

  void (*rms_norm)(const float* x, const float* weight, std::uint32_t n, float epsilon, float* y);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, std::uint32_t n, float epsilon, float* y);
  // x: (n_heads, head_dim) rotated in place by the position's pairs; cosine_sine: (head_dim / 2, 2)
  void (*rope)(float* x, std::uint32_t n_heads, std::uint32_t head_dim, rope_pairing pairing, const float* cosine_sine);
  void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* y);  // y = silu(gate) * up
  void (*gelu_mul)(const float* gate, const float* up, std::size_t n, float* y);  // y = gelu(gate) * up
  void (*gelu)(const float* x, std::size_t n, float* y);                          // y = x Phi(x)
  void (*add)(const float* x, std::size_t n, float* y);                           // y += x

  // Attention over the block table (ops/attention.hpp).

  // Writes one position's K and V, (n_kv_heads, head_dim) each, into its block.
  void (*store_kv)(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
                   std::byte* v_block);
  // For one sequence and the query heads of some kv heads: see attention_args.
  void (*attention)(const attention_args& args);
  // The same in parts, so that threads can share a long sequence. A part is what a single query's head takes from the
  // positions it sees in one segment, as floats {weighted sum of V [head_dim], largest score, sum of weights}. All its
  // parts in order, combined, are attention() to the bit. parts: (n_kv_heads, n_query_heads, parts_stride)
  // floats, a part each. Null in tables that only compute it whole.
  void (*attention_part)(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride);
  // Of one head. parts: n_parts of them, attention_part_floats(head_dim) apart, from the first that the query sees. Not
  // null where attention_part is not.
  void (*combine_attention)(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out);

  // Sampling (ops/softmax.hpp).

  std::uint32_t (*argmax)(const float* x, std::size_t n);  // the lowest index among equals
  float (*log_sum_exp)(const float* x, std::size_t n);     // natural logarithm
};

/// Float activations and double or float sums in the plainest order: what the others are tested against.
const table& reference();
/// All tables this processor can run, the reference first.
std::span<const table* const> available();
/// The fastest table this processor can run.
const table& best();
/// By name, the best for an empty one. Errors: invalid_argument, which names what the processor lacks for it and those
/// there are.
result<const table*> choose(std::string_view isa);

}  // namespace troupe::kernels
