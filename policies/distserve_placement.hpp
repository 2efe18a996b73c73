// The placement planner of DistServe (Zhong et al., "DistServe: Disaggregating Prefill and Decoding for
// Goodput-optimized Large Language Model Serving", OSDI 2024): how many instances of what kind, how each is split, and
// on which node each part lies, so that the most requests a second for each GPU stay within their targets for TTFT and
// TPOT. Co-located instances compete with disaggregated ones, and where they are better they are the plan.
//
// Pure and deterministic: everything is simulated (phase_simulation.hpp), nothing is measured. Seconds for a cluster of
// hundreds of GPUs; the cost is that of the simulations, not of the cluster.
#pragma once

#include "base/result.hpp"
#include "policies/distserve_candidates.hpp"
#include "policies/distserve_nodes.hpp"
#include "policies/distserve_problem.hpp"

#include <cstdint>
#include <vector>

namespace troupe::policies {

struct placed_unit {
  scored_unit scored{};
  std::vector<stage_location> stages;
};

struct placement {
  std::vector<placed_unit> units;  // each takes a share of the requests in proportion to its goodput
  std::uint32_t gpus = 0;          // in use
  double goodput = 0;              // requests a second, of all units
  double goodput_per_gpu = 0;
  bool meets_rate = false;              // the goodput reaches the rate asked for
  std::vector<scored_unit> candidates;  // all that were scored, highest goodput a GPU first
};

/// The plan that serves the rate with the fewest GPUs or, where none does, the one with the highest goodput. What is
/// within 3 % is a tie, as the search is no finer: then fewer GPUs, then co-located before disaggregated.
/// Errors as check_problem, and "slo" when no candidate meets both targets together.
result<placement> plan_placement(const placement_problem& problem);

/// The highest goodput of any combination of any units, without regard to the rate. For tests of the planner: for
/// clusters of at most 8 GPUs (error "cluster" otherwise).
result<double> exhaustive_goodput(const placement_problem& problem);

}  // namespace troupe::policies
