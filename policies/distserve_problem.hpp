// What the placement planner is asked (distserve_placement.hpp): the model, the cluster, the workload, the targets;
// what is wrong with a question, and how a model can be split. GPU stands for whatever a worker computes on: one
// device, or one share of a CPU. Pure.
#pragma once

#include "base/result.hpp"
#include "policies/goodput.hpp"
#include "policies/step_cost.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace troupe::policies {

struct model_facts {
  std::uint32_t n_layer = 0;
  std::uint32_t n_head = 0;
  std::uint32_t n_kv_head = 0;
  double kv_bytes_per_token = 0;  // of all layers
  double weight_bytes = 0;
  double activation_bytes_per_token = 0;  // between pipeline stages: n_embd values; 0: they cost nothing
};

struct cluster_facts {
  std::uint32_t nodes = 0;
  std::uint32_t gpus_per_node = 0;
  double gpu_memory_bytes = 0;
  // Between two GPUs, bytes a second. The first must be given, the second where there are several nodes.
  double within_node_bytes_per_s = 0;
  double between_nodes_bytes_per_s = 0;

  std::uint32_t gpus() const { return nodes * gpus_per_node; }
};

struct placement_problem {
  model_facts model{};
  cluster_facts cluster{};
  /// A pass through all layers on that many GPUs.
  std::function<step_cost(std::uint32_t tensor_parallel)> cost;
  /// The same for an engine that does both phases, where that is another one; empty: `cost`.
  std::function<step_cost(std::uint32_t tensor_parallel)> colocated_cost;
  std::vector<request_lengths> lengths;  // a sample of the workload
  latency_targets slo{};
  double rate = std::numeric_limits<double>::infinity();  // requests a second to serve; infinity: as many as can be

  std::vector<std::uint32_t> tp;  // degrees to consider; empty: all that divide the heads and fit a node
  std::vector<std::uint32_t> pp;  // empty: all that divide the layers, up to max_pp
  std::uint32_t max_pp = 8;
  // Of disaggregated, prefill_first and chunked_prefill, those to consider; empty: all.
  std::vector<unit_kind> kinds;
  std::uint32_t max_batched_tokens = 4096;
  std::uint32_t max_sequences = 256;
  goodput_search search{};
};

/// How one instance is split.
struct parallelism {
  std::uint32_t tp = 1;
  std::uint32_t pp = 1;
  std::uint32_t gpus() const { return tp * pp; }
  friend bool operator==(const parallelism&, const parallelism&) = default;
};

/// Share of a GPU's memory for weights, K and V; the rest is for activations and the runtime.
inline constexpr double usable_memory = 0.9;

inline constexpr std::uint32_t max_planned_gpus = 4096;

/// Names the field at fault ("cluster.nodes", "lengths", "slo.ttft", "tp", ...) and says what would be right; for a
/// target that not even a lone request meets, what would be possible.
result<> check_problem(const placement_problem& problem);

/// The degrees that are possible, in ascending order; the problem has been checked.
std::vector<std::uint32_t> tensor_parallel_choices(const placement_problem& problem);
std::vector<std::uint32_t> pipeline_choices(const placement_problem& problem);
/// Every split whose weights fit, fewest GPUs first.
std::vector<parallelism> parallelism_choices(const placement_problem& problem);

/// Tokens whose K and V fit beside the weights.
std::uint64_t kv_tokens_of(const placement_problem& problem, const parallelism& split);

/// An instance for simulation; `does_both`: as a co-located engine, `in_one_node`: its stages lie on one.
simulated_instance instance_of(const placement_problem& problem, const parallelism& split, bool does_both,
                               bool in_one_node);

bool considers(const placement_problem& problem, unit_kind kind);

/// Whether phases may be on different nodes: K and V of a mean prompt cross between nodes within one TPOT.
bool crosses_nodes(const placement_problem& problem);

}  // namespace troupe::policies
