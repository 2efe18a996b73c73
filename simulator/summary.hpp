// What a simulation's outcome comes to: latencies by percentile, attainment and goodput of the objectives, what was
// lost to preemption and what the instances cost; and the mean of several seeds with its confidence interval.
#pragma once

#include "simulator/simulation_outcome.hpp"
#include "simulator/workload.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace troupe::simulator {

/// By linear interpolation between ranks, p in [0, 1]; 0 of nothing.
double percentile(std::vector<double> samples, double p);
double mean(std::span<const double> samples);

/// The mean of samples of several seeds and half the width of its 95 % confidence interval (Student's t).
struct estimate {
  double mean = 0;
  double half_width = 0;
};
estimate estimate_mean(std::span<const double> samples);

struct latency_summary {
  double mean_s = 0;
  double p50_s = 0;
  double p90_s = 0;
  double p99_s = 0;
};
latency_summary summarise(const std::vector<double>& seconds);

struct outcome_summary {
  std::size_t programs = 0;
  std::size_t calls = 0;
  std::size_t failed = 0;  // calls that were refused or ended before their end
  latency_summary ttft, tpot, e2e, program_e2e;
  double attainment = 1;  // share of programs inside all their objectives
  double ttft_attainment = 1;
  double tpot_attainment = 1;
  double tokens_per_s = 0;
  // Tokens that count: of programs with a schedule (TTFT, TPOT) those in time, of others all when the program ended
  // inside its TTLT, as a share of all tokens that were asked for, and a second.
  double token_goodput = 0;
  double goodput_tokens_per_s = 0;
  double preemption_loss_s = 0;  // a call, mean
  double instance_seconds = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t moved = 0;
};

/// Only programs for which `wanted` is true count in latencies and objectives.
outcome_summary summarise(const workload& asked, const simulation_outcome& outcome,
                          const std::function<bool(const workload_program&)>& wanted = {});

}  // namespace troupe::simulator
