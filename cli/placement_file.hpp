// A plan as a file that `troupe up -f` starts, and that `troupe place --current` compares with later.
#pragma once

#include "base/result.hpp"
#include "cli/launch_plan.hpp"
#include "policies/distserve_placement.hpp"
#include "policies/workload_drift.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace troupe::cli {

/// What a plan was made for: the [plan] table.
struct plan_record {
  policies::latency_targets slo{};
  policies::workload_statistics workload{};
  double goodput = 0;  // requests a second
};

struct planned_cluster {
  std::string model;  // as --model has it
  policies::placement plan{};
  std::vector<launch_host> hosts;  // by the plan's node numbers
  plan_record record{};
};

/// The workers of a plan, one entry for each host, role and split.
std::vector<launch_host> workers_of(const planned_cluster& planned);
/// How many workers of each role, "2 x prefill, 1 x decode".
std::string count_roles(const std::vector<launch_host>& workers);

/// All of `base` (a cluster.toml, or empty) but its nodes, and then the plan's. Comments of `base` are lost.
result<> write_plan(const planned_cluster& planned, const std::filesystem::path& base,
                    const std::filesystem::path& file);

/// Errors name the key: "plan.ttft_ms".
result<plan_record> read_plan(const std::filesystem::path& file);

}  // namespace troupe::cli
