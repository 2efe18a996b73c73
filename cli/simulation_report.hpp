// What `troupe simulate` tells: a table for people, JSON for programs, charts.
#pragma once

#include "simulator/experiment.hpp"
#include "simulator/scenario.hpp"

#include <string>
#include <utility>
#include <vector>

namespace troupe::cli {

/// A row a case: means over the seeds, with half the width of their 95 % confidence intervals when there are several.
std::string simulation_table(const simulator::scenario& of, const simulator::experiment_result& ran);

/// The same numbers with their names and units, those of each kind of request, and for each seed its trace's hash.
std::string simulation_json(const simulator::scenario& of, const simulator::experiment_result& ran);

using named_plot = std::pair<std::string, std::string>;  // file name and SVG

/// Over a sweep of numbers: attainment, goodput and latencies. For each value: distributions of latencies. For each of
/// what is compared, at the last value and with the first seed: the instances over time.
std::vector<named_plot> simulation_plots(const simulator::scenario& of, const simulator::experiment_result& ran);

}  // namespace troupe::cli
