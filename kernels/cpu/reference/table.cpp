#include "kernels/table.hpp"

#include "kernels/ops/add.hpp"
#include "kernels/ops/attention.hpp"
#include "kernels/ops/gelu.hpp"
#include "kernels/ops/gelu_mul.hpp"
#include "kernels/ops/layer_norm.hpp"
#include "kernels/ops/linear.hpp"
#include "kernels/ops/rms_norm.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/ops/silu_mul.hpp"
#include "kernels/ops/softmax.hpp"

namespace troupe::kernels {

const table& reference() {
  static constexpr table plain_table = {
      .isa = "reference",
      .packed_bytes = plain::packed_bytes,
      .pack_linear = plain::pack_linear,
      .output_tile = plain::output_tile,
      .activation_format_for = plain::activation_format_for,
      .activation_bytes = plain::activation_bytes,
      .prepare_activations = plain::prepare_activations,
      .linear = plain::linear,
      .dequantize_row = plain::dequantize_row,
      .rms_norm = plain::rms_norm,
      .layer_norm = plain::layer_norm,
      .rope = plain::rope,
      .silu_mul = plain::silu_mul,
      .gelu_mul = plain::gelu_mul,
      .gelu = plain::gelu,
      .add = plain::add,
      .store_kv = plain::store_kv,
      .attention = plain::attention,
      .attention_part = nullptr,
      .combine_attention = nullptr,
      .argmax = plain::argmax,
      .log_sum_exp = plain::log_sum_exp,
  };
  return plain_table;
}

}  // namespace troupe::kernels
