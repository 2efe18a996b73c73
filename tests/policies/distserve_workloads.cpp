#include "distserve_workloads.hpp"

#include "base/normal.hpp"
#include "base/random.hpp"
#include "policies/gpu_profile.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace troupe::policies {
namespace {

std::uint32_t lognormal(double median, double sigma, random_stream& random) {
  return static_cast<std::uint32_t>(std::max(1.0, std::round(median * std::exp(sigma * draw_normal(random)))));
}

/// A speed-up of about 0.8 for each doubling of GPUs.
step_cost split_over(step_cost cost, std::uint32_t tensor_parallel) {
  const double speed_up = std::pow(1.7, std::log2(static_cast<double>(tensor_parallel)));
  for (double* value : {&cost.prompt.base_ms, &cost.prompt.per_token_ms, &cost.prompt.per_token_squared_ms,
                        &cost.decoding.base_ms, &cost.decoding.per_context_ms, &cost.decoding.per_sequence_ms,
                        &cost.large.base_ms, &cost.large.per_context_ms, &cost.large.per_sequence_ms})
    *value /= speed_up;
  return cost;
}

}  // namespace

std::vector<request_lengths> lognormal_lengths(double prompt_median, double prompt_sigma, double output_median,
                                               double output_sigma, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<request_lengths> lengths;
  for (int i = 0; i < 2000; ++i) {
    const auto prompt = lognormal(prompt_median, prompt_sigma, random);
    lengths.push_back({prompt, lognormal(output_median, output_sigma, random)});
  }
  return lengths;
}

placement_problem two_cpu_workers(std::vector<request_lengths> lengths, double ttft_s, double tpot_s) {
  placement_problem problem;
  problem.model = {.n_layer = 30,
                   .n_head = 9,
                   .n_kv_head = 3,
                   .kv_bytes_per_token = 23'040,
                   .weight_bytes = 270e6,
                   .activation_bytes_per_token = 576 * 4};
  problem.cluster = {.nodes = 1,
                     .gpus_per_node = 2,
                     .gpu_memory_bytes = 2e9,
                     .within_node_bytes_per_s = 1e9,
                     .between_nodes_bytes_per_s = 0};
  problem.cost = [](std::uint32_t) { return step_cost{.prompt = {0, 2.5, 0}, .decoding = {10, 0, 3}}; };
  problem.lengths = std::move(lengths);
  problem.slo = {.ttft_s = ttft_s, .tpot_s = tpot_s};
  problem.tp = {1};
  problem.pp = {1};
  problem.max_batched_tokens = 512;
  problem.search.requests_per_instance = 1000;
  return problem;
}

placement_problem a100_cluster(std::uint32_t nodes, double between_nodes_bytes_per_s) {
  placement_problem problem;
  problem.model = {.n_layer = 40,
                   .n_head = 40,
                   .n_kv_head = 40,
                   .kv_bytes_per_token = 40 * 2 * 5120 * 2,
                   .weight_bytes = 26e9,
                   .activation_bytes_per_token = 5120 * 2};
  problem.cluster = {.nodes = nodes,
                     .gpus_per_node = 8,
                     .gpu_memory_bytes = a100_80g.memory_bytes,
                     .within_node_bytes_per_s = 200e9,
                     .between_nodes_bytes_per_s = between_nodes_bytes_per_s};
  problem.cost = [](std::uint32_t tp) { return split_over(distserve_13b_a100(), tp); };
  problem.lengths = lognormal_lengths(250, 1.0, 200, 0.8, 11);
  problem.slo = {.ttft_s = 0.25, .tpot_s = 0.1};
  return problem;
}

}  // namespace troupe::policies
