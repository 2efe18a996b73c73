#include "policies/distserve_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

namespace troupe::policies {
namespace {

error bad(std::string field, std::string message) {
  return make_error(errc::invalid_argument, std::move(message), std::move(field));
}

bool is_positive(double value) {
  return value > 0.0 && std::isfinite(value);
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g s", value);
  return text;
}

result<> check_model(const model_facts& model) {
  if (model.n_layer == 0) return bad("model.n_layer", "a model has at least one layer.");
  if (model.n_head == 0) return bad("model.n_head", "a model has at least one head.");
  if (model.n_kv_head == 0) return bad("model.n_kv_head", "a model has at least one KV head.");
  if (!is_positive(model.kv_bytes_per_token))
    return bad("model.kv_bytes_per_token", "K and V of a token take a positive number of bytes.");
  if (!(model.activation_bytes_per_token >= 0.0))
    return bad("model.activation_bytes_per_token", "activations take no negative number of bytes.");
  if (!is_positive(model.weight_bytes)) return bad("model.weight_bytes", "weights take a positive number of bytes.");
  return {};
}

result<> check_cluster(const cluster_facts& cluster) {
  if (cluster.nodes == 0) return bad("cluster.nodes", "a placement needs at least one node.");
  if (cluster.gpus_per_node == 0) return bad("cluster.gpus_per_node", "a placement needs at least one GPU on a node.");
  if (cluster.nodes > max_planned_gpus || cluster.gpus_per_node > max_planned_gpus / cluster.nodes)
    return bad("cluster.nodes", "placements are planned for at most " + std::to_string(max_planned_gpus) + " GPUs.");
  if (!is_positive(cluster.gpu_memory_bytes))
    return bad("cluster.gpu_memory_bytes", "a GPU has a positive number of bytes.");
  if (!is_positive(cluster.within_node_bytes_per_s))
    return bad("cluster.within_node_bytes_per_s", "the bandwidth within a node is a positive number.");
  if (cluster.nodes > 1 && !is_positive(cluster.between_nodes_bytes_per_s))
    return bad("cluster.between_nodes_bytes_per_s", "the bandwidth between nodes is a positive number.");
  return {};
}

result<> check_workload(const placement_problem& problem) {
  if (!problem.cost) return bad("cost", "a plan needs what a step takes, for each tensor-parallel degree.");
  if (problem.lengths.empty()) return bad("lengths", "a plan needs a sample of prompt and output lengths.");
  for (const auto& request : problem.lengths)
    if (request.prompt_tokens == 0 || request.output_tokens == 0)
      return bad("lengths", "prompts and outputs have at least one token each.");
  if (!is_positive(problem.slo.ttft_s)) return bad("slo.ttft", "the target for TTFT is a positive time.");
  if (!is_positive(problem.slo.tpot_s)) return bad("slo.tpot", "the target for TPOT is a positive time.");
  if (!(problem.slo.attainment > 0.0 && problem.slo.attainment <= 1.0))
    return bad("slo.attainment", "attainment is a share above 0 and at most 1.");
  if (!(problem.rate > 0.0)) return bad("rate", "the rate to serve is a positive number of requests a second.");
  if (problem.max_batched_tokens == 0) return bad("max_batched_tokens", "a batch has at least one token.");
  if (problem.max_sequences == 0) return bad("max_sequences", "a batch has at least one sequence.");
  const auto& search = problem.search;
  if (search.requests_per_instance == 0 || search.requests_per_instance > 1'000'000)
    return bad("search.requests_per_instance", "a simulation has 1 to 1,000,000 requests an instance.");
  if (!(search.relative_width >= 1e-4 && search.relative_width < 1.0))
    return bad("search.relative_width", "the bisection stops at a width of 0.0001 to 1.");
  return {};
}

result<> check_degrees(const placement_problem& problem) {
  const auto& model = problem.model;
  for (const std::uint32_t tp : problem.tp) {
    if (tp == 0 || model.n_head % tp != 0 || model.n_kv_head % tp != 0)
      return bad("tp", "a tensor-parallel degree of " + std::to_string(tp) + " does not divide " +
                           std::to_string(model.n_head) + " heads and " + std::to_string(model.n_kv_head) +
                           " KV heads.");
    if (tp > problem.cluster.gpus_per_node)
      return bad("tp", "a tensor-parallel degree of " + std::to_string(tp) + " does not fit a node of " +
                           std::to_string(problem.cluster.gpus_per_node) + " GPUs.");
  }
  for (const std::uint32_t pp : problem.pp)
    if (pp == 0 || pp > 64 || model.n_layer % pp != 0)
      return bad("pp", std::to_string(pp) + " pipeline stages do not divide " + std::to_string(model.n_layer) +
                           " layers, or are more than 64.");
  for (const auto kind : problem.kinds)
    if (kind == unit_kind::prefill_only || kind == unit_kind::decode_only)
      return bad("kinds",
                 "a placement is of units that serve both phases, not of '" + std::string(to_string(kind)) + "'.");
  if (problem.pp.empty() && problem.max_pp == 0) return bad("max_pp", "a pipeline has at least one stage.");
  if (parallelism_choices(problem).empty())
    return bad("cluster.gpu_memory_bytes", "the weights do not fit, however the model is split over the " +
                                               std::to_string(problem.cluster.gpus()) + " GPUs.");
  return {};
}

struct lone_times {
  double ttft_s = 0;  // of the attainment's quantile
  double tpot_s = 0;
};

lone_times lone_request(const step_cost& cost, const placement_problem& problem) {
  std::vector<double> ttfts, tpots;
  for (const auto& request : problem.lengths) {
    step_shape prompt;
    prompt.add_prompt(0, request.prompt_tokens);
    ttfts.push_back(cost.time_ms(prompt) * 1e-3);
    step_shape middle;  // costs are linear in the context, so the middle step is the mean one
    middle.add_decoding(request.prompt_tokens + (request.output_tokens - 1) / 2);
    tpots.push_back(request.output_tokens == 1 ? 0.0 : cost.time_ms(middle) * 1e-3);
  }
  // Rounded down, so that what is called impossible is.
  const auto needed = std::floor(problem.slo.attainment * static_cast<double>(ttfts.size()));
  const auto at = static_cast<std::ptrdiff_t>(std::max(needed, 1.0)) - 1;
  std::nth_element(ttfts.begin(), ttfts.begin() + at, ttfts.end());
  std::nth_element(tpots.begin(), tpots.begin() + at, tpots.end());
  return {ttfts[static_cast<std::size_t>(at)], tpots[static_cast<std::size_t>(at)]};
}

result<> check_targets(const placement_problem& problem) {
  lone_times fastest{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (const auto& split : parallelism_choices(problem))
    for (const auto* cost : {&problem.cost, &problem.colocated_cost}) {
      if (!*cost) continue;
      const auto alone = lone_request((*cost)(split.tp), problem);
      fastest.ttft_s = std::min(fastest.ttft_s, alone.ttft_s);
      fastest.tpot_s = std::min(fastest.tpot_s, alone.tpot_s);
    }
  const std::string share = std::to_string(static_cast<int>(std::lround(problem.slo.attainment * 100))) + " %";
  if (fastest.ttft_s > problem.slo.ttft_s)
    return bad("slo.ttft", "not even lone requests see their first token within " + seconds(problem.slo.ttft_s) +
                               "; the fastest choice needs " + seconds(fastest.ttft_s) + " for " + share + " of them.");
  if (fastest.tpot_s > problem.slo.tpot_s)
    return bad("slo.tpot", "not even lone requests see a token every " + seconds(problem.slo.tpot_s) +
                               "; the fastest choice needs " + seconds(fastest.tpot_s) + " for " + share + " of them.");
  return {};
}

}  // namespace

result<> check_problem(const placement_problem& problem) {
  if (auto checked = check_model(problem.model); !checked) return checked;
  if (auto checked = check_cluster(problem.cluster); !checked) return checked;
  if (auto checked = check_workload(problem); !checked) return checked;
  if (auto checked = check_degrees(problem); !checked) return checked;
  return check_targets(problem);
}

std::vector<std::uint32_t> tensor_parallel_choices(const placement_problem& problem) {
  auto choices = problem.tp;
  if (choices.empty())
    for (std::uint32_t tp = 1; tp <= std::min(problem.model.n_kv_head, problem.cluster.gpus_per_node); ++tp)
      if (problem.model.n_head % tp == 0 && problem.model.n_kv_head % tp == 0) choices.push_back(tp);
  std::sort(choices.begin(), choices.end());
  choices.erase(std::unique(choices.begin(), choices.end()), choices.end());
  return choices;
}

std::vector<std::uint32_t> pipeline_choices(const placement_problem& problem) {
  auto choices = problem.pp;
  if (choices.empty())
    for (std::uint32_t pp = 1; pp <= std::min({problem.model.n_layer, problem.max_pp, 64u}); ++pp)
      if (problem.model.n_layer % pp == 0) choices.push_back(pp);
  std::sort(choices.begin(), choices.end());
  choices.erase(std::unique(choices.begin(), choices.end()), choices.end());
  return choices;
}

std::vector<parallelism> parallelism_choices(const placement_problem& problem) {
  std::vector<parallelism> choices;
  for (const std::uint32_t tp : tensor_parallel_choices(problem))
    for (const std::uint32_t pp : pipeline_choices(problem)) {
      const parallelism split{tp, pp};
      // Each stage's GPUs are on one node.
      const std::uint32_t stages = problem.cluster.nodes * (problem.cluster.gpus_per_node / tp);
      if (pp <= stages && kv_tokens_of(problem, split) > 0) choices.push_back(split);
    }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const parallelism& a, const parallelism& b) { return a.gpus() < b.gpus(); });
  return choices;
}

std::uint64_t kv_tokens_of(const placement_problem& problem, const parallelism& split) {
  const double usable = problem.cluster.gpu_memory_bytes * usable_memory * split.gpus();
  const double left = usable - problem.model.weight_bytes;
  if (left <= 0.0) return 0;
  return static_cast<std::uint64_t>(std::min(left / problem.model.kv_bytes_per_token, 1e15));
}

simulated_instance instance_of(const placement_problem& problem, const parallelism& split, bool does_both,
                               bool in_one_node) {
  const auto& cost = does_both && problem.colocated_cost ? problem.colocated_cost : problem.cost;
  const double bytes_per_s = in_one_node || problem.cluster.nodes == 1 ? problem.cluster.within_node_bytes_per_s
                                                                       : problem.cluster.between_nodes_bytes_per_s;
  return {.cost = cost(split.tp),
          .pp = split.pp,
          .hop_ms_per_token = 1e3 * problem.model.activation_bytes_per_token / bytes_per_s,
          .kv_tokens = kv_tokens_of(problem, split),
          .max_batched_tokens = problem.max_batched_tokens,
          .max_sequences = problem.max_sequences};
}

bool considers(const placement_problem& problem, unit_kind kind) {
  return problem.kinds.empty() || std::find(problem.kinds.begin(), problem.kinds.end(), kind) != problem.kinds.end();
}

bool crosses_nodes(const placement_problem& problem) {
  if (problem.cluster.nodes < 2) return false;
  double tokens = 0;
  for (const auto& request : problem.lengths)
    tokens += request.prompt_tokens;
  tokens /= static_cast<double>(problem.lengths.size());
  const double transfer_s = tokens * problem.model.kv_bytes_per_token / problem.cluster.between_nodes_bytes_per_s;
  return transfer_s <= problem.slo.tpot_s;
}

}  // namespace troupe::policies
