// What a step takes on a data-centre GPU, put together from measured operators.
//
// Vidur (MLSys 2024) publishes the median time of each operator of a transformer layer by tokens in the batch and by
// tensor-parallel degree, and of collectives by bytes. A layer is the sum of its operators and, when it is split over
// GPUs, two all-reduces of the activations. Attention proper is in none of the tables here; it is reckoned instead:
//   decoding   bytes of K and V read / memory bandwidth
//   prompts    2 * n_embd * tokens^2 operations a layer (causal: half of Q K^T and of P V) / peak
// each at an efficiency below. The output projection is reckoned too, as one reading of its weights a step. Nothing
// else is in it, neither gaps between operators nor the sampler: a real engine is slower.
// Pure: rows in, cost out; reading the tables is the caller's work.
#pragma once

#include "base/result.hpp"
#include "policies/step_cost_fit.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace troupe::policies {

struct gpu_facts {
  std::string_view name;
  double memory_bytes = 0;
  double memory_bytes_per_s = 0;
  double peak_fp16_flops = 0;  // a second, dense, tensor cores
};

// NVIDIA's data sheets.
inline constexpr gpu_facts a100_80g{"A100-80G", 80e9, 2.039e12, 312e12};
inline constexpr gpu_facts a40{"A40", 48e9, 0.696e12, 149.7e12};

// Shares of the peaks that attention kernels reach: what FlashAttention-2 reports for causal prompts on an A100, and
// the usual of a kernel that streams memory.
inline constexpr double prompt_attention_efficiency = 0.5;
inline constexpr double decoding_attention_efficiency = 0.7;

/// One row of a compute table: medians in ms of a layer's operators, on each of `tensor_parallel` GPUs.
struct operator_row {
  std::uint32_t num_tokens = 0;
  std::uint32_t tensor_parallel = 1;
  double attn_pre_proj_ms = 0;
  double attn_rope_ms = 0;
  double attn_post_proj_ms = 0;
  double mlp_up_proj_ms = 0;
  double mlp_act_ms = 0;
  double mlp_down_proj_ms = 0;
  double input_layernorm_ms = 0;
  double post_attention_layernorm_ms = 0;
  double add_ms = 0;
  double emb_ms = 0;  // once a step, not once a layer

  double layer_ms() const;
};

/// One row of a network table: the median of a collective over `num_workers`, or of a send. A table mixes workers on
/// one node and on several; give those of one.
struct link_row {
  std::uint32_t num_workers = 2;
  std::uint64_t bytes = 0;
  double ms = 0;
};

struct profiled_model {
  std::uint32_t n_layer = 0;
  std::uint32_t n_embd = 0;
  std::uint32_t n_head = 0;
  std::uint32_t n_kv_head = 0;
  std::uint32_t n_vocab = 0;
  std::uint32_t bytes_per_value = 2;  // of weights, activations, K and V

  std::uint64_t kv_bytes_per_token() const;
};

/// Where decoding changes its slope: the tables have a step there, as matrix kernels go over to larger tiles.
inline constexpr std::uint32_t profile_large_batch = 128;

/// The cost of a step on `tensor_parallel` GPUs of one node, with the error of its form against the tables. Uses the
/// rows of that degree; `all_reduce` may be empty for 1. Errors: "rows" or "all_reduce" (none of that degree, or fewer
/// than two sizes), "model", "tensor_parallel" (does not divide the heads).
result<step_cost_fit> profile_step_cost(std::span<const operator_row> rows, std::span<const link_row> all_reduce,
                                        const gpu_facts& gpu, const profiled_model& model,
                                        std::uint32_t tensor_parallel);

/// Time in ms for a message of so many bytes, from the rows of a send: between two sizes by interpolation, above the
/// largest in proportion. Errors: "send_recv" (no rows).
result<double> transfer_ms(std::span<const link_row> send_recv, std::uint64_t bytes);

/// 13 billion parameters (OPT) on one A100 as DistServe's simulator has them: its own engine.
step_cost distserve_13b_a100();
/// The same model on the engine DistServe compares with (vLLM), which does both phases.
step_cost distserve_13b_a100_colocated();

}  // namespace troupe::policies
