#include "policies/distserve_placement.hpp"

#include "approximately.hpp"
#include "catch.hpp"
#include "distserve_workloads.hpp"

#include <chrono>
#include <iostream>
#include <map>
#include <set>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

void print(const char* name, const placement& plan) {
  std::cout << name << ": " << plan.goodput << " requests/s on " << plan.gpus << " GPUs, " << plan.units.size()
            << " units, of them the first " << to_string(plan.units.front().scored.unit) << '\n';
}

/// GPUs in use on each node.
std::map<std::uint32_t, std::uint32_t> load_of_nodes(const placement& plan) {
  std::map<std::uint32_t, std::uint32_t> load;
  for (const auto& unit : plan.units)
    for (const auto& stage : unit.stages)
      load[stage.node] += stage.gpus;
  return load;
}

void check_sums(const placement_problem& problem, const placement& plan) {
  std::uint32_t gpus = 0;
  double goodput = 0;
  for (const auto& unit : plan.units) {
    std::uint32_t of_stages = 0;
    for (const auto& stage : unit.stages)
      of_stages += stage.gpus;
    CHECK(of_stages == unit.scored.unit.gpus());
    gpus += of_stages;
    goodput += unit.scored.goodput;
  }
  CHECK(plan.gpus == gpus);
  CHECK(plan.goodput == approximately(goodput));
  for (const auto& [node, load] : load_of_nodes(plan)) {
    CHECK(node < problem.cluster.nodes);
    CHECK(load <= problem.cluster.gpus_per_node);
  }
}

}  // namespace

TEST_CASE("chat under loose targets stays co-located", "[distserve_placement]") {
  auto problem = two_cpu_workers(lognormal_lengths(120, 0.6, 50, 0.6, 1), 2, 0.12);
  for (const std::uint64_t seed : {0, 1, 2, 3, 4}) {
    problem.search.seed = seed;
    const auto plan = plan_placement(problem);
    REQUIRE(plan);
    print("chat, 2 s, 120 ms", *plan);
    check_sums(problem, *plan);
    for (const auto& unit : plan->units)
      CHECK(unit.scored.unit.kind != unit_kind::disaggregated);
  }
}

TEST_CASE("without chunks, long prompts under a tight TPOT are planned apart", "[distserve_placement]") {
  auto problem = two_cpu_workers(lognormal_lengths(550, 0.3, 35, 0.5, 1), 4.5, 0.030);
  problem.kinds = {unit_kind::disaggregated, unit_kind::prefill_first};
  const auto plan = plan_placement(problem);
  REQUIRE(plan);
  print("550/35 tokens, 4.5 s, 30 ms, whole prompts", *plan);
  REQUIRE(plan->units.size() == 1);
  CHECK(plan->units[0].scored.unit.kind == unit_kind::disaggregated);
  problem.kinds.clear();
  const auto free = plan_placement(problem);
  REQUIRE(free);
  print("550/35 tokens, 4.5 s, 30 ms", *free);
  CHECK(free->goodput >= 0.97 * plan->goodput);
}

TEST_CASE("a rate is served with the fewest GPUs", "[distserve_placement]") {
  auto problem = a100_cluster(4, 25e9);
  problem.search.requests_per_instance = 200;
  std::uint32_t before = 0;
  for (const double rate : {2.0, 20.0, 80.0}) {
    problem.rate = rate;
    const auto plan = plan_placement(problem);
    REQUIRE(plan);
    print("A100", *plan);
    check_sums(problem, *plan);
    CHECK(plan->meets_rate);
    CHECK(plan->goodput >= rate);
    CHECK(plan->gpus >= before);
    before = plan->gpus;
  }
  problem.rate = 1e5;
  const auto all = plan_placement(problem);
  REQUIRE(all);
  CHECK_FALSE(all->meets_rate);
  CHECK(all->gpus >= 30);
}

TEST_CASE("where K and V cross nodes slowly, both phases of a layer share a node", "[distserve_placement]") {
  auto problem = a100_cluster(4, 0.2e9);
  problem.kinds = {unit_kind::disaggregated};
  problem.search.requests_per_instance = 100;
  const bool pinned = GENERATE(false, true);
  if (pinned) {  // units larger than a node
    problem.tp = {4};
    problem.pp = {2, 4};
  }
  REQUIRE_FALSE(crosses_nodes(problem));
  const auto plan = plan_placement(problem);
  REQUIRE(plan);
  print("A100, slow between nodes", *plan);
  check_sums(problem, *plan);
  for (const auto& candidate : plan->candidates)
    CHECK(candidate.unit.spread != unit_spread::anywhere);
  for (const auto& unit : plan->units) {
    std::map<std::uint32_t, std::set<std::uint32_t>> nodes_of_layers;
    std::set<std::uint32_t> nodes;
    for (const auto& stage : unit.stages) {
      nodes_of_layers[stage.stage].insert(stage.node);
      nodes.insert(stage.node);
    }
    if (nodes.size() == 1) continue;
    CHECK(unit.scored.unit.prefill.pp == unit.scored.unit.decode.pp);
    for (const auto& [layers, of_layers] : nodes_of_layers)
      CHECK(of_layers.size() == 1);
    CHECK(pinned);
  }
}

TEST_CASE("the plan is within 5 % of the best there is", "[distserve_placement]") {
  std::vector<placement_problem> problems;
  problems.push_back(two_cpu_workers(lognormal_lengths(550, 0.3, 35, 0.5, 1), 4.5, 0.030));
  problems.push_back(two_cpu_workers(lognormal_lengths(120, 0.6, 50, 0.6, 1), 1.2, 0.025));
  for (auto& problem : problems)
    problem.cluster.gpus_per_node = 4;
  problems.push_back(problems[0]);
  problems.back().kinds = {unit_kind::disaggregated};
  problems.push_back(a100_cluster(1, 25e9));
  problems.back().cluster.gpus_per_node = 4;
  problems.back().slo = {.ttft_s = 0.4, .tpot_s = 0.04};
  problems.push_back(problems.back());
  problems.back().kinds = {unit_kind::disaggregated};
  problems.back().cluster = {2, 3, 80e9, 200e9, 25e9};
  for (auto& problem : problems) {
    problem.search.requests_per_instance = 400;
    const auto plan = plan_placement(problem);
    const auto best = exhaustive_goodput(problem);
    REQUIRE(plan);
    REQUIRE(best);
    print("small cluster", *plan);
    std::cout << "  the best of all combinations: " << *best << '\n';
    CHECK(plan->goodput >= 0.95 * *best);
  }
}

TEST_CASE("256 GPUs are planned in seconds", "[distserve_placement]") {
  auto problem = a100_cluster(32, GENERATE(25e9, 0.2e9));
  const auto begin = std::chrono::steady_clock::now();
  const auto plan = plan_placement(problem);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  REQUIRE(plan);
  std::cout << "256 GPUs: " << plan->candidates.size() << " candidates in " << took.count() << " s\n";
  print("256 GPUs", *plan);
  check_sums(problem, *plan);
  CHECK(plan->gpus >= 250);
  CHECK(took.count() < 60);
}

TEST_CASE("targets that are possible only one at a time are refused", "[distserve_placement]") {
  // One in five has too long a prompt for TTFT, another one so long an output that its context is too long for TPOT.
  auto problem = two_cpu_workers({{2000, 1}, {100, 3000}, {100, 10}, {100, 10}, {100, 10}}, 1.0, 0.020);
  problem.cost = [](std::uint32_t) { return step_cost{.prompt = {0, 2.5, 0}, .decoding = {10, 0.01, 3}}; };
  problem.slo.attainment = 0.75;
  const auto plan = plan_placement(problem);
  REQUIRE_FALSE(plan);
  CHECK(plan.error().param == "slo");
}
