// DistServe (OSDI 2024), simulated with the shipped actors: goodput (the rate at which 90 % of the requests keep both
// TTFT and TPOT) of one prefill and one decode worker against two workers that do both, prefill first as vLLM or in
// chunks as Sarathi. Costs of a CPU: 2.5 ms a prompt token, 10 ms and 3 ms a sequence for a decode step.
#include "actors/protocols/membership.hpp"
#include "bench/benchmarks.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/workload_generator.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

using simulator::lengths;
using simulator::lognormal_lengths;
using simulator::simulated_cluster_options;
using std::chrono::milliseconds;

struct service {
  const char* name;
  lengths prompts;
  lengths answers;
  milliseconds ttft;
  milliseconds tpot;
};

struct layout {
  const char* name;
  std::uint32_t both = 0;  // workers that do both phases
  std::uint32_t prefill = 0;
  std::uint32_t decode = 0;
  const char* order = "prefill_first";
  std::uint32_t chunk = 512;
  double slower_transfer = 1;
};

const service long_prompts{"long prompts, tight TPOT", lognormal_lengths(550, 0.3), lognormal_lengths(35, 0.5),
                           milliseconds(4500), milliseconds(30)};
const service chat{"chat, tight TPOT", lognormal_lengths(120, 0.6), lognormal_lengths(50, 0.6), milliseconds(1200),
                   milliseconds(25)};
const service loose_chat{"chat, loose TPOT", lognormal_lengths(120, 0.6), lognormal_lengths(50, 0.6),
                         milliseconds(2000), milliseconds(120)};

constexpr layout split{.name = "1 prefill, 1 decode", .prefill = 1, .decode = 1};
constexpr layout single{.name = "1 co-located", .both = 1};
constexpr layout pair{.name = "2 co-located", .both = 2};
constexpr layout chunked{.name = "2 co-located, chunks of 128", .both = 2, .order = "fcfs", .chunk = 128};
constexpr layout fine_chunks{.name = "2 co-located, chunks of 4", .both = 2, .order = "fcfs", .chunk = 4};
constexpr layout slow_split{
    .name = "1 prefill, 1 decode, transfer 100 x slower", .prefill = 1, .decode = 1, .slower_transfer = 100};

simulated_cluster_options make_cluster(const layout& of, std::uint64_t seed) {
  simulated_cluster_options made;
  made.seed = seed;
  simulator::instance_kind kind;
  kind.cost = {.prompt = {0, 2.5, 0}, .decoding = {10, 0, 3}, .large = {}, .large_batch = 0};
  kind.blocks = 20'000;
  kind.max_context = 8192;
  kind.max_batched_tokens = 4096;
  kind.interleaved_prefill_tokens = of.chunk;
  made.instances.clear();
  const auto add = [&](const char* name, std::uint32_t count, std::uint8_t roles, std::uint32_t batched) {
    if (count == 0) return;
    made.instances.push_back(kind);
    auto& added = made.instances.back();
    added.name = name;
    added.count = count;
    added.roles = roles;
    added.max_batched_tokens = batched;
  };
  add("worker", of.both, worker_role::both, 4096);
  // A prompt by itself: a second one in the same step makes the first wait and saves nothing on a CPU.
  add("prefill", of.prefill, worker_role::prefill, 600);
  add("decode", of.decode, worker_role::decode, 4096);
  made.local_order = of.order;
  made.worker_backlog = 1'000'000;
  made.kv_bytes_per_token = 23'040;  // SmolLM2-135M
  made.network.bytes_per_second = 1.25e9 / of.slower_transfer;
  return made;
}

double attainment(const layout& of, const service& what, double rate, std::size_t n, std::uint64_t seed) {
  auto asked = simulator::make_requests({.rate = rate}, what.prompts, what.answers, n, seed);
  for (auto& program : asked) {
    program.objective.ttft = what.ttft;
    program.objective.tpot = what.tpot;
  }
  return summarise(asked, simulate(make_cluster(of, seed), asked)).attainment;
}

/// The highest rate with 90 % attainment, to 3 %.
double goodput(const layout& of, const service& what, std::size_t n, std::uint64_t seed) {
  double low = 0, high = 0.1;
  while (attainment(of, what, high, n, seed) >= 0.9) {
    low = high;
    high *= 2;
  }
  while (high - low > 0.03 * high && high > 0.002) {
    const double middle = (low + high) / 2;
    (attainment(of, what, middle, n, seed) >= 0.9 ? low : high) = middle;
  }
  return low;
}

std::vector<double> run(const layout& of, const service& what, std::uint32_t seeds, std::size_t n) {
  auto all = for_seeds(seeds, [&](std::uint64_t seed) { return goodput(of, what, n, seed); });
  print_row(of.name, all, "requests/s");
  return all;
}

std::vector<double> each_worker(std::vector<double> of, double workers) {
  for (double& value : of)
    value /= workers;
  return of;
}

}  // namespace

result<report> distserve_phases(const options& wanted) {
  report made("distserve");
  const std::uint32_t seeds = wanted.quick ? 2 : 10;
  const std::size_t n = wanted.quick ? 200 : 500;

  std::printf("%s\n", long_prompts.name);
  const auto split_long = run(split, long_prompts, seeds, n);
  const auto single_long = run(single, long_prompts, seeds, n);
  const auto pair_long = run(pair, long_prompts, seeds, n);
  const auto chunked_long = run(chunked, long_prompts, seeds, n);
  const auto fine_long = run(fine_chunks, long_prompts, seeds, n);
  const auto slow_long = run(slow_split, long_prompts, seeds, n);
  made.add({"split_vs_colocated_a_worker_long_prompts", "times", ratios(each_worker(split_long, 2), single_long), 2.0});
  made.add({"split_vs_two_colocated_long_prompts", "times", ratios(split_long, pair_long), {}});
  made.add({"split_vs_chunked_long_prompts", "times", ratios(split_long, chunked_long), 1.0});
  made.add({"split_vs_finest_chunks_long_prompts", "times", ratios(split_long, fine_long), {}});
  made.add({"slow_transfer_share_of_goodput", "times", ratios(slow_long, split_long), 0.95, goal::at_most});

  std::printf("%s\n", chat.name);
  const auto split_chat = run(split, chat, seeds, n);
  const auto single_chat = run(single, chat, seeds, n);
  const auto pair_chat = run(pair, chat, seeds, n);
  made.add({"split_vs_colocated_a_worker_chat", "times", ratios(each_worker(split_chat, 2), single_chat), 1.25});
  made.add({"split_vs_two_colocated_chat", "times", ratios(split_chat, pair_chat), {}});

  std::printf("%s\n", loose_chat.name);
  const auto split_loose = run(split, loose_chat, seeds, n);
  const auto pair_loose = run(pair, loose_chat, seeds, n);
  made.add({"split_vs_two_colocated_loose_chat", "times", ratios(split_loose, pair_loose), 1.0, goal::at_most});
  return made;
}

}  // namespace troupe::bench
