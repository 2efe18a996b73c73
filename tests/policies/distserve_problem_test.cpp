#include "policies/distserve_problem.hpp"

#include "catch.hpp"
#include "distserve_workloads.hpp"

#include <iostream>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

placement_problem good_problem() {
  return two_cpu_workers(lognormal_lengths(120, 0.6, 50, 0.6, 1), 2, 0.12);
}

/// The field at fault after a change of a good problem.
template <class Change>
std::string fault(Change change) {
  auto problem = good_problem();
  change(problem);
  const auto checked = check_problem(problem);
  const auto planned = plan_placement(problem);
  CHECK(planned.has_value() == checked.has_value());
  return checked ? "none" : checked.error().param;
}

}  // namespace

TEST_CASE("what is wrong with a problem is named", "[distserve_problem]") {
  CHECK(fault([](auto&) {}) == "none");
  CHECK(fault([](auto& p) { p.cluster.nodes = 0; }) == "cluster.nodes");
  CHECK(fault([](auto& p) { p.cluster.nodes = 1u << 31; }) == "cluster.nodes");
  CHECK(fault([](auto& p) { p.cluster.gpus_per_node = 0; }) == "cluster.gpus_per_node");
  CHECK(fault([](auto& p) { p.cluster.gpu_memory_bytes = -1; }) == "cluster.gpu_memory_bytes");
  CHECK(fault([](auto& p) { p.cluster.gpu_memory_bytes = 1e6; }) == "cluster.gpu_memory_bytes");
  CHECK(fault([](auto& p) { p.cluster.within_node_bytes_per_s = 0; }) == "cluster.within_node_bytes_per_s");
  CHECK(fault([](auto& p) { p.cluster.nodes = 2; }) == "cluster.between_nodes_bytes_per_s");
  CHECK(fault([](auto& p) { p.model.n_layer = 0; }) == "model.n_layer");
  CHECK(fault([](auto& p) { p.model.n_head = 0; }) == "model.n_head");
  CHECK(fault([](auto& p) { p.model.n_kv_head = 0; }) == "model.n_kv_head");
  CHECK(fault([](auto& p) { p.model.kv_bytes_per_token = -5; }) == "model.kv_bytes_per_token");
  CHECK(fault([](auto& p) { p.model.weight_bytes = 0; }) == "model.weight_bytes");
  CHECK(fault([](auto& p) { p.lengths.clear(); }) == "lengths");
  CHECK(fault([](auto& p) { p.lengths[3].output_tokens = 0; }) == "lengths");
  CHECK(fault([](auto& p) { p.cost = nullptr; }) == "cost");
  CHECK(fault([](auto& p) { p.slo.ttft_s = -1; }) == "slo.ttft");
  CHECK(fault([](auto& p) { p.slo.tpot_s = 0; }) == "slo.tpot");
  CHECK(fault([](auto& p) { p.slo.attainment = 1.5; }) == "slo.attainment");
  CHECK(fault([](auto& p) { p.rate = 0; }) == "rate");
  CHECK(fault([](auto& p) { p.rate = -3; }) == "rate");
  CHECK(fault([](auto& p) { p.tp = {2}; }) == "tp");  // 9 heads, 3 KV heads
  CHECK(fault([](auto& p) { p.tp = {3}; }) == "tp");  // divides, but a node has 2
  CHECK(fault([](auto& p) { p.pp = {4}; }) == "pp");  // 30 layers
  CHECK(fault([](auto& p) { p.kinds = {unit_kind::decode_only}; }) == "kinds");
  CHECK(fault([](auto& p) { p.max_sequences = 0; }) == "max_sequences");
  CHECK(fault([](auto& p) { p.max_batched_tokens = 0; }) == "max_batched_tokens");
  CHECK(fault([](auto& p) { p.search.requests_per_instance = 0; }) == "search.requests_per_instance");
  CHECK(fault([](auto& p) { p.search.relative_width = 0; }) == "search.relative_width");
}

TEST_CASE("an impossible target comes with what would be possible", "[distserve_problem]") {
  auto problem = good_problem();
  problem.lengths = {{100, 10}};  // 0.25 s for the prompt, 13 ms a token
  problem.slo.ttft_s = 0.2;
  auto checked = check_problem(problem);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().param == "slo.ttft");
  CHECK(checked.error().message.find("0.25 s") != std::string::npos);
  problem.slo = {.ttft_s = 1, .tpot_s = 0.012};
  checked = check_problem(problem);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().param == "slo.tpot");
  CHECK(checked.error().message.find("0.013 s") != std::string::npos);
}

TEST_CASE("splits divide heads and layers and fit the memory", "[distserve_problem]") {
  auto problem = good_problem();
  problem.tp.clear();
  problem.pp.clear();
  CHECK(tensor_parallel_choices(problem) == std::vector<std::uint32_t>{1});  // 3 KV heads, 2 GPUs a node
  problem.cluster.gpus_per_node = 8;
  CHECK(tensor_parallel_choices(problem) == std::vector<std::uint32_t>{1, 3});
  CHECK(pipeline_choices(problem) == std::vector<std::uint32_t>{1, 2, 3, 5, 6});
  problem.cluster.gpu_memory_bytes = 200e6;  // of 270 MB of weights and 10 % for the rest
  for (const auto& split : parallelism_choices(problem))
    CHECK(split.gpus() >= 2);
  CHECK(kv_tokens_of(problem, {1, 1}) == 0);
  CHECK(kv_tokens_of(problem, {1, 2}) == static_cast<std::uint64_t>((0.9 * 400e6 - 270e6) / 23'040));
}
