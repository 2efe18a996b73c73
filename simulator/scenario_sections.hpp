// The sections of a scenario's file, each read into what it describes. Used by scenario.cpp alone; what is wrong is
// kept by the section.
#pragma once

#include "simulator/simulated_cluster.hpp"
#include "simulator/toml_section.hpp"
#include "simulator/workload_recipe.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulator {

/// Traces that were read already: a file is read once, however many cases replay it.
struct trace_shelf {
  std::filesystem::path folder;  // what paths are relative to
  std::map<std::string, std::shared_ptr<const workload>> traces;
};

void read_cluster(toml_section of, simulated_cluster_options& into);
void read_network(toml_section of, simulated_cluster_options& into);
std::vector<instance_kind> read_instances(toml_section& root, const std::filesystem::path& folder);
/// `total_rate`: of all workloads together, in place of their own.
std::vector<workload_recipe> read_workloads(toml_section& root, trace_shelf& shelf, std::optional<double> total_rate);

}  // namespace troupe::simulator
