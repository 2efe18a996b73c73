// HexGen-Text2SQL, simulated with the shipped actors: its published traces of agents that turn questions into SQL, on
// two A100, an A6000 and an L40 with the published times of each, eight calls at a time. Balanced dispatch and urgency
// against round robin and first come first served, each alone and together; its constant alpha by replay; the smallest
// objective that 95 % of the questions keep.
#include "bench/benchmarks.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "policies/hexgen_replay.hpp"
#include "simulator/cost_models.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/trace_files.hpp"
#include "simulator/workload_generator.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

using simulator::outcome_summary;
using simulator::simulated_cluster_options;
using simulator::workload;

constexpr std::uint32_t places = 8;
constexpr const char* gpus[] = {"a100", "a100", "a6000", "l40"};

struct traffic {
  workload questions;
  std::vector<policies::step_cost> costs;  // of each GPU
  double work_s = 0;                       // of a mean question on an A100, call after call
};

struct contender {
  const char* name;
  const char* dispatch;
  const char* order;
  double alpha = 0.2;
  bool cumulative = false;
};

constexpr contender round_robin{"round robin, FCFS", "round_robin", "fcfs"};
constexpr contender urgent_only{"round robin, urgency", "round_robin", "urgency"};
constexpr contender balanced_only{"balance, FCFS", "hexgen_text2sql", "fcfs"};
constexpr contender hexgen{"balance, urgency", "hexgen_text2sql", "urgency"};

result<traffic> read_traffic(const std::filesystem::path& folder) {
  traffic made;
  auto questions = simulator::read_trace(simulator::trace_format::hexgen, folder / "trace1.csv");
  if (!questions) return questions.error();
  made.questions = *std::move(questions);
  const auto times = simulator::read_step_times(folder / "step_times.csv");
  if (!times) return times.error();
  for (const char* gpu : gpus) {
    auto cost = simulator::fit_step_times(*times, gpu);
    if (!cost) return cost.error();
    made.costs.push_back(*cost);
  }
  for (const auto& question : made.questions)
    for (const auto& stage : question.stages)
      for (const auto& call : stage)
        made.work_s += 1e-3 * (made.costs[0].prompt.per_token_ms * call.prompt_tokens +
                               made.costs[0].decoding.base_ms * call.output_tokens);
  made.work_s /= static_cast<double>(made.questions.size());
  return made;
}

simulated_cluster_options make_cluster(const traffic& of, const contender& with, std::uint64_t seed) {
  simulated_cluster_options made;
  made.seed = seed;
  made.instances.clear();
  for (std::size_t i = 0; i < of.costs.size(); ++i) {
    simulator::instance_kind kind;
    kind.name = gpus[i];
    kind.cost = of.costs[i];
    kind.blocks = 20'000;
    kind.max_context = 32'768;
    kind.max_sequences = places;
    made.instances.push_back(kind);
  }
  made.dispatch = with.dispatch;
  made.dispatching.alpha = with.alpha;
  made.dispatching.cumulative_work = with.cumulative;
  made.local_order = with.order;
  made.worker_backlog = 1'000'000;
  return made;
}

/// Each question of the trace three times, as Poisson arrivals. `scale`: its objective, in work of a mean question.
workload ask(const traffic& of, double rate, double scale, std::uint64_t seed) {
  auto asked = simulator::repeat_programs({.rate = rate}, of.questions, 3 * of.questions.size(), seed);
  for (auto& question : asked)
    question.objective.ttlt =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(scale * of.work_s));
  return asked;
}

struct answered {
  double p95_s = 0;
  double attainment = 0;
  std::vector<policies::replayed_call> calls;
};

answered run_seed(const traffic& of, const contender& with, double rate, double scale, std::uint64_t seed) {
  const auto asked = ask(of, rate, scale, seed);
  auto outcome = simulate(make_cluster(of, with, seed), asked);
  answered made;
  std::vector<double> took;
  std::vector<double> ends(asked.size());
  for (const auto& call : outcome.calls)
    ends[call.program] = std::max(ends[call.program], call.end_s);
  for (std::size_t i = 0; i < asked.size(); ++i)
    took.push_back(ends[i] - std::chrono::duration<double>(asked[i].arrival).count());
  made.p95_s = simulator::percentile(took, 0.95);
  made.attainment = summarise(asked, outcome).attainment;
  std::ranges::sort(outcome.calls, {}, &simulator::call_outcome::arrival_s);
  for (const auto& call : outcome.calls)
    made.calls.push_back({call.arrival_s, call.prompt_tokens, call.n_tokens});
  return made;
}

std::vector<double> p95(const traffic& of, const contender& with, double rate, std::uint32_t seeds) {
  auto all = for_seeds(seeds, [&](std::uint64_t seed) { return run_seed(of, with, rate, 5, seed).p95_s; });
  print_row(with.name, all, "s, P95 of questions");
  return all;
}

/// The smallest objective, in work of a mean question, that 95 % keep.
double smallest_scale(const traffic& of, const contender& with, double rate, std::uint64_t seed) {
  double low = 0.2, high = 40;
  while (high / low > 1.02) {
    const double middle = std::sqrt(low * high);
    (run_seed(of, with, rate, middle, seed).attainment >= 0.95 ? high : low) = middle;
  }
  return high;
}

std::vector<policies::replayed_worker> describe_workers(const traffic& of) {
  std::vector<policies::replayed_worker> made;
  for (const auto& cost : of.costs)
    made.push_back({1e-3 * cost.prompt.per_token_ms, 1e-3 * cost.decoding.base_ms, places});
  return made;
}

/// P95 with an alpha that was tuned on the calls of one seed's traffic, and with each of the grid, on other seeds.
void measure_tuning(report& made, const traffic& of, double rate, bool cumulative, std::uint32_t seeds) {
  contender with = hexgen;
  with.cumulative = cumulative;
  const auto recent = run_seed(of, with, rate, 5, 1000).calls;
  const double tuned = policies::tune_alpha(policies::alpha_grid, recent, describe_workers(of), cumulative);
  const auto held_out = [&](double alpha) {
    contender at = with;
    at.alpha = alpha;
    return for_seeds(seeds, [&](std::uint64_t seed) { return run_seed(of, at, rate, 5, seed).p95_s; });
  };
  std::printf("alpha at %.2f questions/s, %s work: %.1f by replay\n", rate, cumulative ? "cumulative" : "outstanding",
              tuned);
  double best_s = 1e9, zero_s = 0, tuned_s = 0;
  for (const double alpha : policies::alpha_grid) {
    const auto all = held_out(alpha);
    print_row("alpha " + std::to_string(alpha).substr(0, 3), all, "s, P95 of questions");
    const double mean_s = simulator::mean(all);
    best_s = std::min(best_s, mean_s);
    if (alpha == 0) zero_s = mean_s;
    if (alpha == tuned) tuned_s = mean_s;
  }
  const std::string kind = cumulative ? "cumulative" : "outstanding";
  made.add({"hexgen_tuned_alpha_vs_best_of_grid_" + kind, "times", {tuned_s / best_s}, 1.02, goal::at_most});
  if (cumulative) made.add({"hexgen_cumulative_alpha_0_vs_tuned", "times", {zero_s / tuned_s}, 2.0});
}

}  // namespace

result<report> hexgen_scheduling(const options& wanted) {
  const auto read = read_traffic(wanted.traces / "hexgen_text2sql_traces");
  if (!read) return read.error();
  const traffic& of = *read;
  report made("hexgen-text2sql");
  const std::uint32_t seeds = wanted.quick ? 2 : 10;
  std::vector<double> balanced_overloaded, ours_overloaded;
  for (const double rate : {0.06, 0.09, 0.12}) {
    std::printf("%.2f questions/s\n", rate);
    const auto rr = p95(of, round_robin, rate, seeds);
    p95(of, urgent_only, rate, seeds);
    const auto balanced = p95(of, balanced_only, rate, seeds);
    const auto ours = p95(of, hexgen, rate, seeds);
    const std::string at = std::to_string(static_cast<int>(100 * rate + 0.5));
    made.add({"hexgen_p95_share_of_round_robin_fcfs_at_0." + std::string(at.size() < 2 ? "0" : "") + at, "",
              ratios(ours, rr), 0.5, goal::at_most});
    balanced_overloaded = balanced;
    ours_overloaded = ours;
  }
  made.add({"hexgen_p95_share_of_balance_fcfs_overloaded", "", ratios(ours_overloaded, balanced_overloaded), 0.85,
            goal::at_most});
  const auto scale = [&](const contender& with) {
    return for_seeds(seeds, [&](std::uint64_t seed) { return smallest_scale(of, with, 0.09, seed); });
  };
  const auto ours = scale(hexgen);
  const auto rr = scale(round_robin);
  print_row("smallest objective, balance, urgency", ours, "x the work of a question");
  print_row("smallest objective, round robin, FCFS", rr, "x the work of a question");
  made.add({"hexgen_smallest_objective_share_of_fcfs", "", ratios(ours, rr), 1 / 1.4, goal::at_most});
  measure_tuning(made, of, 0.09, false, seeds);
  measure_tuning(made, of, 0.09, true, seeds);
  return made;
}

}  // namespace troupe::bench
