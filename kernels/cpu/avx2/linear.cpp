// Activations, and the choice of a kernel by weight type. No intrinsics: compiled for any x86-64.
#include "base/assert.hpp"
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"

#include <cstring>

namespace troupe::kernels::avx2 {

activation_format activation_format_for(weight_type type) {
  return is_block_format(type) ? activation_format::q8 : activation_format::f32;
}

std::size_t activation_bytes(activation_format format, std::uint32_t n_in) {
  const std::size_t q8 =
      n_in + n_in / block * 2 * sizeof(float) + sizeof(std::uint32_t) + most_residuals(n_in) * sizeof(residual_block);
  return ((format == activation_format::q8 ? q8 : n_in * sizeof(float)) + 63) / 64 * 64;
}

void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations) {
  const std::size_t stride = activation_bytes(format, n_in);
  TROUPE_ASSERT(format == activation_format::f32 || n_in % block == 0, "activations q8 come in whole blocks");
  for (std::size_t r = 0; r < n_rows; ++r) {
    if (format == activation_format::q8) {
      quantize_row(x + r * x_stride, n_in, activations + r * stride);
    } else {
      std::memcpy(activations + r * stride, x + r * x_stride, n_in * sizeof(float));
    }
  }
}

void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride) {
  TROUPE_ASSERT(out_begin <= out_end && out_end <= w.n_out, "outputs past the end of the matrix");
  TROUPE_ASSERT(w.n_in > 0, "a matrix without inputs has no product");
  TROUPE_ASSERT(out_begin % tile == 0, "a range of outputs begins at a tile");
  const linear_args args = {.n_in = w.n_in,
                            .packed = w.data,
                            .activations = activations,
                            .stride = activation_bytes(activation_format_for(w.type), w.n_in),
                            .n_rows = n_rows,
                            .out_begin = out_begin,
                            .out_end = out_end,
                            .y = y,
                            .y_stride = y_stride};
  switch (w.type) {
    case weight_type::f32:
      return linear_f32(args);
    case weight_type::f16:
      return linear_f16(args);
    case weight_type::bf16:
      return linear_bf16(args);
    case weight_type::q8_0:
      return linear_q8_0(args);
    case weight_type::q4_0:
      return linear_q4_0(args);
    case weight_type::q4_1:
      return linear_q4_1(args);
    case weight_type::q5_0:
      return linear_q5_0(args);
    case weight_type::q5_1:
      return linear_q5_1(args);
    case weight_type::q4_k:
      return linear_q4_k(args);
    case weight_type::q5_k:
      return linear_q5_k(args);
    case weight_type::q6_k:
      return linear_q6_k(args);
  }
}

}  // namespace troupe::kernels::avx2
