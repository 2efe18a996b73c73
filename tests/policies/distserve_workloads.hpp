// The workloads that tests of the placement planner share: two CPU workers with a small model, and data-centre GPUs.
#pragma once

#include "policies/distserve_placement.hpp"

#include <cstdint>
#include <vector>

namespace troupe::policies {

/// Lognormal lengths with these medians and shapes.
std::vector<request_lengths> lognormal_lengths(double prompt_median, double prompt_sigma, double output_median,
                                               double output_sigma, std::uint64_t seed);

/// Workers of one core with a model of 135 million parameters: 2.5 ms a prompt token, decoding 10 ms and 3 ms a
/// sequence.
placement_problem two_cpu_workers(std::vector<request_lengths> lengths, double ttft_s, double tpot_s);

/// 13 billion parameters on A100s of 80 GB, 8 a node, as DistServe's simulator has them.
placement_problem a100_cluster(std::uint32_t nodes, double between_nodes_bytes_per_s);

}  // namespace troupe::policies
