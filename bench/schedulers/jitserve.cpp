// JITServe, simulated with the shipped actors: one instance of 32 sequences under a mix of streams (TTFT 1 s, 100 ms a
// token), answers wanted within 10 s and agents of three stages of two calls wanted within 40 s, a third each, at 1.15
// times what it can serve. Lengths are known with a lognormal error of 0.5, or exactly. Against chunked FCFS (Sarathi),
// earliest deadline, least attained service (Autellix) and shortest job first with the same knowledge.
#include "bench/benchmarks.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/workload_generator.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

using simulator::length_knowledge;
using simulator::lognormal_lengths;
using simulator::outcome_summary;
using simulator::workload;
using std::chrono::milliseconds;

simulator::workload_program make_agent(duration arrival, random_stream& random) {
  simulator::workload_program made;
  made.arrival = arrival;
  made.kind = "agent";
  made.workflow = "agent";
  made.objective.ttlt = milliseconds(40'000);
  for (int stage = 0; stage < 3; ++stage) {
    const auto in = simulator::draw_lengths(lognormal_lengths(150, 0.8), 2, random);
    const auto out = simulator::draw_lengths(lognormal_lengths(120, 0.7), 2, random);
    auto& calls = made.stages.emplace_back();
    for (std::size_t call = 0; call < 2; ++call)
      calls.push_back({"stage " + std::to_string(stage), in[call], out[call], {}});
  }
  return made;
}

workload make_mix(double rate, std::size_t n, std::uint64_t seed) {
  auto mix =
      simulator::make_requests({.rate = rate}, lognormal_lengths(150, 0.8), lognormal_lengths(180, 0.7), n, seed);
  random_stream kinds(random_bits(seed, 17)), agents(random_bits(seed, 18));
  for (auto& program : mix) {
    switch (kinds.below(3)) {
      case 0:
        program.kind = "stream";
        program.objective.ttft = milliseconds(1000);
        program.objective.tpot = milliseconds(100);
        break;
      case 1:
        program.kind = "answer";
        program.objective.ttlt = milliseconds(10'000);
        break;
      default:
        program = make_agent(program.arrival, agents);
    }
  }
  return mix;
}

struct contender {
  const char* name;
  const char* order;
  length_knowledge lengths = length_knowledge::noisy;
  policies::jitserve_settings settings{};
};

simulator::simulated_cluster_options make_cluster(const contender& of, std::uint64_t seed) {
  simulator::simulated_cluster_options made;
  made.seed = seed;
  simulator::instance_kind kind;
  // 8 billion parameters on an A100, about: 50 ms for a full step.
  kind.cost = {.prompt = {20, 0.15, 0}, .decoding = {20, 0.0005, 0.8}, .large = {}, .large_batch = 0};
  kind.blocks = 4000;
  kind.max_context = 8192;
  kind.max_sequences = 128;  // with K and V in place; 32 of them in a step
  kind.max_running = 32;
  kind.max_batched_tokens = 512;
  kind.interleaved_prefill_tokens = 256;
  made.instances = {kind};
  made.worker_backlog = 1'000'000;
  made.lengths = of.lengths;
  made.local_order = of.order;
  made.batching.jitserve = of.settings;
  return made;
}

/// Programs a second that an instance ends which always has enough to do: until the last ones run alone.
double saturation(std::uint64_t seed, std::size_t n) {
  constexpr double share = 0.8;  // of the tokens
  auto asked = make_mix(1000, n, seed);
  auto outcome = simulate(make_cluster({"", "fcfs"}, seed), asked);
  std::ranges::sort(outcome.calls, {}, &simulator::call_outcome::end_s);
  double tokens = 0, so_far = 0;
  for (const auto& call : outcome.calls)
    tokens += call.n_tokens;
  const auto last = std::ranges::find_if(outcome.calls, [&](const auto& call) {
    so_far += call.n_tokens;
    return so_far >= share * tokens;
  });
  return share * static_cast<double>(n) / last->end_s;
}

std::vector<outcome_summary> run(const contender& of, double rate, std::uint32_t seeds, std::size_t n) {
  auto all = for_seeds(seeds, [&](std::uint64_t seed) {
    const auto asked = make_mix(rate, n, seed);
    return summarise(asked, simulate(make_cluster(of, seed), asked));
  });
  print_row(of.name, each(all, &outcome_summary::token_goodput), "of the tokens asked for");
  return all;
}

std::vector<double> goodput(const std::vector<outcome_summary>& of) {
  return each(of, &outcome_summary::token_goodput);
}

policies::jitserve_settings without(bool policies::jitserve_settings::*what) {
  policies::jitserve_settings settings;
  settings.*what = false;
  return settings;
}

constexpr contender fcfs{"chunked FCFS (Sarathi)", "fcfs"};
constexpr contender edf{"earliest deadline first", "edf"};
constexpr contender las{"least attained service (Autellix)", "las"};
constexpr contender sjf{"shortest job first", "sjf"};
constexpr contender jitserve{"JITServe", "jitserve"};
constexpr contender sjf_oracle{"shortest job first, exact lengths", "sjf", length_knowledge::exact};
constexpr contender jitserve_oracle{"JITServe, exact lengths", "jitserve", length_knowledge::exact};
constexpr contender sjf_learned{"shortest job first, learnt lengths", "sjf", length_knowledge::learned};
constexpr contender jitserve_learned{"JITServe, learnt lengths", "jitserve", length_knowledge::learned};

void measure_overload(report& made, double rate, std::uint32_t seeds, std::size_t n) {
  std::printf("token goodput at %.2f programs/s, 1.15 x saturation\n", rate);
  const auto of_fcfs = goodput(run(fcfs, rate, seeds, n));
  run(edf, rate, seeds, n);
  run(las, rate, seeds, n);
  const auto of_sjf = goodput(run(sjf, rate, seeds, n));
  const auto ours = goodput(run(jitserve, rate, seeds, n));
  const auto of_sjf_oracle = goodput(run(sjf_oracle, rate, seeds, n));
  const auto oracle = goodput(run(jitserve_oracle, rate, seeds, n));
  const auto of_sjf_learned = goodput(run(sjf_learned, rate, seeds, n));
  const auto learned = goodput(run(jitserve_learned, rate, seeds, n));
  const contender ungrouped{"JITServe without length grouping", "jitserve", length_knowledge::noisy,
                            without(&policies::jitserve_settings::length_grouping)};
  const contender restless{"JITServe without stickiness", "jitserve", length_knowledge::noisy,
                           without(&policies::jitserve_settings::stickiness)};
  const auto no_groups = goodput(run(ungrouped, rate, seeds, n));
  const auto no_stickiness = goodput(run(restless, rate, seeds, n));
  const contender unknowing{"JITServe without prediction", "jitserve", length_knowledge::none};
  const auto no_prediction = goodput(run(unknowing, rate, seeds, n));
  made.add({"jitserve_goodput_vs_chunked_fcfs", "times", ratios(ours, of_fcfs), 1.8});
  made.add({"jitserve_goodput_vs_sjf", "times", ratios(ours, of_sjf), 0.97});
  made.add({"jitserve_goodput_vs_oracle_jitserve", "times", ratios(ours, oracle), 0.85});
  made.add({"oracle_jitserve_goodput_vs_oracle_sjf", "times", ratios(oracle, of_sjf_oracle), 1.05});
  made.add({"jitserve_learnt_lengths_vs_sjf", "times", ratios(learned, of_sjf_learned), {}});
  made.add({"jitserve_without_grouping", "times", ratios(no_groups, ours), {}, goal::at_most});
  made.add({"jitserve_without_stickiness", "times", ratios(no_stickiness, ours), {}, goal::at_most});
  made.add({"jitserve_without_prediction", "times", ratios(no_prediction, ours), {}, goal::at_most});
}

/// The highest rate at which an order keeps so much goodput, by bisection over the same seeds.
double rate_at(const contender& of, double wanted, double low, double high, std::uint32_t seeds, std::size_t n) {
  for (int i = 0; i < 6; ++i) {
    const double rate = (low + high) / 2;
    const auto all = for_seeds(seeds, [&](std::uint64_t seed) {
      const auto asked = make_mix(rate, n, seed);
      return summarise(asked, simulate(make_cluster(of, seed), asked)).token_goodput;
    });
    (simulator::mean(all) >= wanted ? low : high) = rate;
  }
  return low;
}

}  // namespace

result<report> jitserve_scheduling(const options& wanted) {
  report made("jitserve");
  const std::uint32_t seeds = wanted.quick ? 2 : 10;
  const std::size_t n = wanted.quick ? 300 : 700;
  const double saturated = simulator::mean(for_seeds(seeds, [&](std::uint64_t seed) { return saturation(seed, n); }));
  made.add({"saturation", "programs/s", {saturated}, {}});
  measure_overload(made, 1.15 * saturated, seeds, n);

  std::printf("token goodput at 0.6 x saturation\n");
  const auto below = goodput(run(jitserve, 0.6 * saturated, seeds, n));
  const auto fcfs_below = goodput(run(fcfs, 0.6 * saturated, seeds, n));
  made.add({"jitserve_goodput_vs_fcfs_below_saturation", "times", ratios(below, fcfs_below), 0.98});

  // Goodput of half the tokens: what an instance can take, and so how many instances the same load needs.
  const double most_fcfs = rate_at(fcfs, 0.5, 0.1 * saturated, 2 * saturated, seeds, n);
  const double most = rate_at(jitserve, 0.5, 0.1 * saturated, 2 * saturated, seeds, n);
  made.add({"jitserve_resources_saved_at_equal_goodput", "%", {100 * (1 - most_fcfs / most)}, {}});
  return made;
}

}  // namespace troupe::bench
