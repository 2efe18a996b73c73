#include "kernels/table.hpp"

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"
#include "kernels/ops/linear.hpp"

namespace troupe::kernels {

const table& avx2_table() {
  static constexpr table functions = {
      .isa = "avx2",
      .packed_bytes = avx2::packed_bytes,
      .pack_linear = avx2::pack_linear,
      .output_tile = avx2::tile,
      .activation_format_for = avx2::activation_format_for,
      .activation_bytes = avx2::activation_bytes,
      .prepare_activations = avx2::prepare_activations,
      .linear = avx2::linear,
      .dequantize_row = plain::dequantize_row,  // once a token: no need for speed
      .rms_norm = avx2::rms_norm,
      .layer_norm = avx2::layer_norm,
      .rope = avx2::rope,
      .silu_mul = avx2::silu_mul,
      .gelu_mul = avx2::gelu_mul,
      .gelu = avx2::gelu,
      .add = avx2::add,
      .store_kv = avx2::store_kv,
      .attention = avx2::attention,
      .attention_part = avx2::attention_part,
      .combine_attention = avx2::combine_attention,
      .argmax = avx2::argmax,
      .log_sum_exp = avx2::log_sum_exp,
  };
  return functions;
}

}  // namespace troupe::kernels
