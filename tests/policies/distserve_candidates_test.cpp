#include "policies/distserve_candidates.hpp"

#include "catch.hpp"
#include "distserve_workloads.hpp"

#include <algorithm>
#include <iostream>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

constexpr placement_unit one_and_one{.kind = unit_kind::disaggregated, .n_decode = 1, .spread = unit_spread::one_node};
constexpr std::uint64_t seeds[] = {0, 1, 2, 3, 4};

double goodput_per_worker(const placement_problem& problem, const placement_unit& unit) {
  return score(problem, unit, 0.5).goodput_per_gpu;
}

placement_unit colocated(std::uint32_t workers) {
  return {.kind = unit_kind::prefill_first, .n_prefill = workers};
}

placement_unit chunked(std::uint32_t workers, std::uint32_t chunk_tokens) {
  return {.kind = unit_kind::chunked_prefill, .n_prefill = workers, .chunk_tokens = chunk_tokens};
}

struct factors {
  double colocated = 0, colocated_pair = 0, chunked_pair = 0, best_chunked_pair = 0;
};

/// Goodput a worker of one prefill and one decode worker, over that of other uses of them: medians over the seeds. A
/// pair of co-located workers behind one queue does better than two apart, since a request can go to the idle one.
factors advantage(placement_problem problem, const char* name) {
  std::vector<factors> seen;
  for (const auto seed : seeds) {
    problem.search.seed = seed;
    const double apart = goodput_per_worker(problem, one_and_one);
    factors here{.colocated = apart / goodput_per_worker(problem, colocated(1)),
                 .colocated_pair = apart / goodput_per_worker(problem, colocated(2)),
                 .chunked_pair = apart / goodput_per_worker(problem, chunked(2, 128))};
    double best = 0;
    for (const std::uint32_t chunk : {2, 4, 8, 16, 32, 64})
      best = std::max(best, goodput_per_worker(problem, chunked(2, chunk)));
    here.best_chunked_pair = apart / best;
    std::cout << name << ", seed " << seed << ": 1P1D over a co-located worker " << here.colocated << ", over a pair "
              << here.colocated_pair << ", over chunks of 128 " << here.chunked_pair << ", over the best chunks "
              << here.best_chunked_pair << '\n';
    seen.push_back(here);
  }
  const auto median = [&](double factors::*field) {
    std::sort(seen.begin(), seen.end(), [&](const auto& a, const auto& b) { return a.*field < b.*field; });
    return seen[seen.size() / 2].*field;
  };
  return {median(&factors::colocated), median(&factors::colocated_pair), median(&factors::chunked_pair),
          median(&factors::best_chunked_pair)};
}

}  // namespace

TEST_CASE("long prompts under a tight TPOT: the phases belong apart", "[distserve_candidates]") {
  const auto seen = advantage(two_cpu_workers(lognormal_lengths(550, 0.3, 35, 0.5, 1), 4.5, 0.030), "550/35 tokens");
  CHECK(seen.colocated >= 2.0);
  CHECK(seen.colocated_pair >= 1.2);
  CHECK(seen.chunked_pair >= 1.0);
}

TEST_CASE("chat under a tight TPOT: the phases belong apart", "[distserve_candidates]") {
  const auto seen = advantage(two_cpu_workers(lognormal_lengths(120, 0.6, 50, 0.6, 1), 1.2, 0.025), "120/50 tokens");
  CHECK(seen.colocated >= 1.25);
  CHECK(seen.colocated_pair >= 1.0);
}

TEST_CASE("a transfer 100 times slower costs goodput", "[distserve_candidates]") {
  auto problem = two_cpu_workers(lognormal_lengths(550, 0.3, 35, 0.5, 1), 4.5, 0.030);
  problem.cluster.within_node_bytes_per_s = 1e9;
  const double fast = goodput_per_worker(problem, one_and_one);
  problem.cluster.within_node_bytes_per_s = 1e7;
  const double slow = goodput_per_worker(problem, one_and_one);
  std::cout << "1P1D at 1 GB/s " << fast << ", at 10 MB/s " << slow << " requests/s a worker\n";
  CHECK(slow < 0.9 * fast);
}

TEST_CASE("an output of one token has met its TPOT", "[distserve_candidates]") {
  auto problem = two_cpu_workers({{100, 1}}, 2, 1e-6);
  CHECK(score(problem, colocated(1), 1.0).goodput > 2.5);  // 4 a second keep a worker busy
  CHECK(score(problem, one_and_one, 1.0).goodput > 2.5);
  REQUIRE(plan_placement(problem));
}

TEST_CASE("prompts that fit no decode instance are rejected, and the others served", "[distserve_candidates]") {
  auto problem = two_cpu_workers({}, 2, 0.12);
  problem.cluster.gpu_memory_bytes = (270e6 + 23'040.0 * 500) / usable_memory;  // 500 tokens
  for (int i = 0; i < 20; ++i)
    problem.lengths.push_back({100, 20});
  problem.lengths.push_back({600, 20});  // one of 21
  const auto scored = score(problem, one_and_one, 1.0);
  CHECK(scored.goodput > 0.5);
  CHECK(scored.at_goodput.joint < 0.98);
}

TEST_CASE("candidates are in order and each fits the cluster", "[distserve_candidates]") {
  auto problem = a100_cluster(2, 25e9);
  problem.search.requests_per_instance = 100;
  const auto candidates = candidate_units(problem);
  REQUIRE(candidates.size() > 10);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    INFO(to_string(candidates[i].unit));
    CHECK(candidates[i].unit.gpus() <= 16);
    CHECK(candidates[i].goodput > 0);
    CHECK(candidates[i].at_goodput.joint >= 0.9);
    if (i > 0) CHECK(candidates[i].goodput_per_gpu <= candidates[i - 1].goodput_per_gpu);
  }
  const auto has = [&](unit_kind kind) {
    return std::any_of(candidates.begin(), candidates.end(), [&](const auto& c) { return c.unit.kind == kind; });
  };
  CHECK(has(unit_kind::disaggregated));
  CHECK(has(unit_kind::prefill_first));
  CHECK(has(unit_kind::chunked_prefill));
}
