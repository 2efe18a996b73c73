// Runs the cases of a scenario, each with every seed, several at once on threads of their own: a simulation shares
// nothing with another. What comes out does not depend on how many run at once.
#pragma once

#include "simulator/scenario.hpp"
#include "simulator/simulation_outcome.hpp"
#include "simulator/summary.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace troupe::simulator {

/// One case with one seed.
struct seed_result {
  std::uint64_t seed = 0;
  outcome_summary all;
  std::map<std::string, outcome_summary> by_kind;  // workload_program::kind
  std::uint64_t trace_hash = 0;
  double duration_s = 0;
  double wall_s = 0;
  // Of every call, for distributions. Seconds.
  std::vector<double> ttft, tpot, e2e;
  std::vector<instance_outcome> instances;
};

struct case_result {
  std::vector<seed_result> seeds;  // as the scenario has them
};

struct experiment_result {
  std::vector<case_result> cases;  // as the scenario has them
  std::uint64_t calls = 0;
  double wall_s = 0;

  double requests_per_hour() const;
};

/// threads: 0: one a processor. on_progress: told from any thread, one at a time, how many runs of how many have ended.
experiment_result run_experiment(const scenario& of, unsigned threads = 0,
                                 const std::function<void(std::size_t done, std::size_t all)>& on_progress = {});

/// One number of a summary, over the seeds.
estimate estimate_over(const case_result& of, const std::function<double(const outcome_summary&)>& number);

}  // namespace troupe::simulator
