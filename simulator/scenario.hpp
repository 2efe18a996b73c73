// An experiment as a TOML file: a cluster, what its clients ask for, and what is varied. docs/simulate.md explains
// every key; examples/scenarios/ has some to start from.
//
//   [cluster]       policies by name and their settings
//   [[instances]]   count, roles, what steps cost, memory
//   [network]       latency, bandwidth, bytes of K and V
//   [[workload]]    one or several, merged: a trace or distributions; objectives
//   [run]           seeds, requests, sweep = { key, values }, [[run.compare]] = other settings of [cluster], with a
//   label
//
// A scenario comes to cases: one for each value of the sweep and each of what is compared. Every error names the field
// at fault by its full path, as in "instances[1].blocks", and its line.
#pragma once

#include "base/result.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/workload_recipe.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulator {

struct scenario_case {
  std::string label;             // of what is compared; empty: nothing is
  std::string value;             // of the sweep, as text; empty: there is none
  std::optional<double> number;  // the same, when it is one
  simulated_cluster_options cluster;
  std::vector<workload_recipe> workloads;
};

struct scenario {
  std::string title;
  std::vector<std::uint64_t> seeds;
  std::size_t requests = 0;          // programs a run; 0: see make_workload()
  std::string sweep_key;             // empty: no sweep
  std::string sweep_unit;            // for axes: "requests/s", or nothing
  std::vector<scenario_case> cases;  // by label, then by value
};

/// A value to be put in before the file is read: "workload[0].rate", "12". What is no TOML value is a text.
struct scenario_setting {
  std::string key;
  std::string value;
};

/// `name`: for messages. `folder`: what paths of traces are relative to.
result<scenario> parse_scenario(std::string_view text, const std::string& name, const std::filesystem::path& folder,
                                const std::vector<scenario_setting>& settings = {});
result<scenario> read_scenario(const std::filesystem::path& file, const std::vector<scenario_setting>& settings = {});

}  // namespace troupe::simulator
