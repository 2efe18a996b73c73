// What the AVX2 folder offers to its table. Contracts: ops/.
//
// The files of this folder that are compiled with -mavx2 include no header with inline functions of ordinary linkage:
// the linker keeps one copy of such a function, and if it kept theirs, a processor without AVX2 would meet it.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::avx2 {

std::size_t packed_bytes(weight_type type, std::uint32_t n_out, std::uint32_t n_in);
void pack_linear(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                 std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed);
activation_format activation_format_for(weight_type type);
std::size_t activation_bytes(activation_format format, std::uint32_t n_in);
void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations);
void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride);

/// One row of n_in floats in format q8; n_in is a multiple of 32.
void quantize_row(const float* x, std::uint32_t n_in, std::byte* activations);

/// A matrix product over rows already prepared, `stride` bytes apart; what linear() chooses from by weight type.
struct linear_args {
  std::uint32_t n_in = 0;
  const std::byte* packed = nullptr;  // of the whole matrix
  const std::byte* activations = nullptr;
  std::size_t stride = 0;
  std::size_t n_rows = 0;
  std::uint32_t out_begin = 0;  // a multiple of the tile
  std::uint32_t out_end = 0;
  float* y = nullptr;
  std::size_t y_stride = 0;
};
void linear_q4_0(const linear_args& args);
void linear_q4_1(const linear_args& args);
void linear_q4_k(const linear_args& args);
void linear_q5_0(const linear_args& args);
void linear_q5_1(const linear_args& args);
void linear_q5_k(const linear_args& args);
void linear_q6_k(const linear_args& args);
void linear_q8_0(const linear_args& args);
void linear_f32(const linear_args& args);
void linear_f16(const linear_args& args);
void linear_bf16(const linear_args& args);

void rms_norm(const float* x, const float* weight, std::uint32_t n, float epsilon, float* y);
void layer_norm(const float* x, const float* weight, const float* bias, std::uint32_t n, float epsilon, float* y);
void rope(float* x, std::uint32_t n_heads, std::uint32_t head_dim, rope_pairing pairing, const float* cosine_sine);
void silu_mul(const float* gate, const float* up, std::size_t n, float* y);
void gelu_mul(const float* gate, const float* up, std::size_t n, float* y);
void gelu(const float* x, std::size_t n, float* y);
void add(const float* x, std::size_t n, float* y);
/// y = e^x, as silu_mul and attention compute it; for the test of its error.
void exponential(const float* x, std::size_t n, float* y);

void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block);
void attention(const attention_args& args);
void attention_part(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride);
void combine_attention(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out);

std::uint32_t argmax(const float* x, std::size_t n);
float log_sum_exp(const float* x, std::size_t n);

}  // namespace troupe::kernels::avx2
