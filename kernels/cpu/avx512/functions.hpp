// What the AVX-512 folder offers to its table; the rest of the table is AVX2's. Contracts: ops/.
//
// As in the AVX2 folder, files compiled with -mavx512f include no header with inline functions of ordinary linkage.
#pragma once

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::avx512 {

std::size_t activation_bytes(activation_format format, std::uint32_t n_in);
void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations);
void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride);

using avx2::linear_args;
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

void silu_mul(const float* gate, const float* up, std::size_t n, float* y);
void gelu_mul(const float* gate, const float* up, std::size_t n, float* y);
/// y = e^x, as silu_mul and attention compute it; for the test of its error.
void exponential(const float* x, std::size_t n, float* y);

void attention(const attention_args& args);
void attention_part(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride);
void combine_attention(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out);

}  // namespace troupe::kernels::avx512
