// Runs a simulation for several seeds, on all processors, and makes claims of what they say together.
#pragma once

#include "bench/report.hpp"
#include "simulator/parallel_runs.hpp"
#include "simulator/summary.hpp"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace troupe::bench {

/// What `run(seed)` returns for the seeds 1 to n, in their order.
template <class Run>
auto for_seeds(std::uint32_t n, Run run) {
  std::vector<std::invoke_result_t<Run, std::uint64_t>> outcomes(n);
  simulator::run_parallel(n, 0, [&](std::size_t i) { outcomes[i] = run(std::uint64_t{i} + 1); });
  return outcomes;
}

/// A figure of each outcome.
template <class Outcome, class Figure>
std::vector<double> each(const std::vector<Outcome>& outcomes, Figure figure) {
  std::vector<double> values;
  for (const auto& outcome : outcomes)
    values.push_back(static_cast<double>(std::invoke(figure, outcome)));
  return values;
}

/// of / to, seed by seed.
inline std::vector<double> ratios(const std::vector<double>& of, const std::vector<double>& to) {
  std::vector<double> made;
  for (std::size_t i = 0; i < of.size(); ++i)
    made.push_back(to[i] == 0 ? (of[i] == 0 ? 1.0 : 1e9) : of[i] / to[i]);
  return made;
}

/// One line for people, with the 95 % confidence interval of the mean.
inline void print_row(const std::string& name, const std::vector<double>& samples, const char* unit) {
  const auto [mean, half_width] = simulator::estimate_mean(samples);
  std::printf("  %-44s %10.4g ± %-8.2g %s\n", name.c_str(), mean, half_width, unit);
}

}  // namespace troupe::bench
