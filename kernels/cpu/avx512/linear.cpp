// The choice of a kernel by weight type. No intrinsics: compiled for any x86-64.
#include "base/assert.hpp"
#include "kernels/cpu/avx2/layout.hpp"
#include "kernels/cpu/avx512/functions.hpp"

namespace troupe::kernels::avx512 {

void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride) {
  TROUPE_ASSERT(out_begin <= out_end && out_end <= w.n_out, "outputs past the end of the matrix");
  TROUPE_ASSERT(w.n_in > 0, "a matrix without inputs has no product");
  TROUPE_ASSERT(out_begin % avx2::tile == 0, "a range of outputs begins at a tile");
  const activation_format format = avx2::activation_format_for(w.type);
  const linear_args args = {.n_in = w.n_in,
                            .packed = w.data,
                            .activations = activations,
                            .stride = activation_bytes(format, w.n_in),
                            .n_rows = n_rows,
                            .out_begin = out_begin,
                            .out_end = out_end,
                            .y = y,
                            .y_stride = y_stride};
  switch (w.type) {
    case weight_type::f32:
      return avx512::linear_f32(args);
    case weight_type::f16:
      return avx512::linear_f16(args);
    case weight_type::bf16:
      return avx512::linear_bf16(args);
    case weight_type::q8_0:
      return avx512::linear_q8_0(args);
    case weight_type::q4_0:
      return avx512::linear_q4_0(args);
    case weight_type::q4_1:
      return avx512::linear_q4_1(args);
    case weight_type::q5_0:
      return avx512::linear_q5_0(args);
    case weight_type::q5_1:
      return avx512::linear_q5_1(args);
    case weight_type::q4_k:
      return avx512::linear_q4_k(args);
    case weight_type::q5_k:
      return avx512::linear_q5_k(args);
    case weight_type::q6_k:
      return avx512::linear_q6_k(args);
  }
}

}  // namespace troupe::kernels::avx512
