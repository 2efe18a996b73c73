#include "simulator/experiment.hpp"

#include "simulator/parallel_runs.hpp"

#include <chrono>
#include <mutex>
#include <set>
#include <utility>

namespace troupe::simulator {
namespace {

seed_result run_seed(const scenario& of, const scenario_case& with, std::uint64_t seed) {
  seed_result made;
  made.seed = seed;
  const workload asked = make_workload(with.workloads, of.requests, seed);
  auto options = with.cluster;
  options.seed = seed;
  auto outcome = simulate(options, asked);
  made.all = summarise(asked, outcome);
  std::set<std::string> kinds;
  for (const auto& program : asked)
    kinds.insert(program.kind);
  for (const auto& kind : kinds)
    if (kinds.size() > 1)
      made.by_kind[kind] = summarise(asked, outcome, [&](const workload_program& p) { return p.kind == kind; });
  made.trace_hash = outcome.trace_hash;
  made.duration_s = outcome.duration_s;
  made.wall_s = outcome.wall_s;
  for (const auto& call : outcome.calls) {
    if (call.n_tokens > 0) made.ttft.push_back(call.ttft_s());
    if (!call.is_whole()) continue;
    made.e2e.push_back(call.e2e_s());
    if (call.n_tokens > 1) made.tpot.push_back(call.tpot_s());
  }
  made.instances = std::move(outcome.instances);
  return made;
}

}  // namespace

double experiment_result::requests_per_hour() const {
  return wall_s > 0 ? 3600.0 * static_cast<double>(calls) / wall_s : 0;
}

experiment_result run_experiment(const scenario& of, unsigned threads,
                                 const std::function<void(std::size_t done, std::size_t all)>& on_progress) {
  const auto started = std::chrono::steady_clock::now();
  experiment_result made;
  made.cases.resize(of.cases.size());
  for (auto& each : made.cases)
    each.seeds.resize(of.seeds.size());
  const std::size_t n = of.cases.size() * of.seeds.size();
  std::mutex telling;
  std::size_t done = 0;
  run_parallel(n, threads, [&](std::size_t i) {
    const std::size_t at = i / of.seeds.size(), seed = i % of.seeds.size();
    made.cases[at].seeds[seed] = run_seed(of, of.cases[at], of.seeds[seed]);
    const std::lock_guard lock(telling);
    ++done;
    if (on_progress) on_progress(done, n);
  });
  for (const auto& each : made.cases)
    for (const auto& seed : each.seeds)
      made.calls += seed.all.calls;
  made.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return made;
}

estimate estimate_over(const case_result& of, const std::function<double(const outcome_summary&)>& number) {
  std::vector<double> samples;
  for (const auto& seed : of.seeds)
    samples.push_back(number(seed.all));
  return estimate_mean(samples);
}

}  // namespace troupe::simulator
