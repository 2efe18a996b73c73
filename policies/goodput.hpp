// Goodput: the highest rate of requests of which at least a given share stays within both latency targets, TTFT and
// TPOT (DistServe, OSDI 2024). Found by simulation and bisection: the same requests, only closer together, until too
// many miss. Pure and deterministic for a seed.
#pragma once

#include "policies/phase_simulation.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe::policies {

struct request_lengths {
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
};

struct latency_targets {
  double ttft_s = 0;
  double tpot_s = 0;
  double attainment = 0.9;  // share of the requests that must meet both
};

struct latency_summary {
  double joint = 0;       // share that meets both targets; this one decides
  double ttft_share = 0;  // each by itself
  double tpot_share = 0;
  double ttft_p90_s = 0;
  double tpot_p90_s = 0;
};

/// Rejected requests count as missed. A TPOT of a single token is met.
latency_summary summarise(std::span<const request_timing> timings, const latency_targets& targets);

/// Poisson arrivals at `rate` a second, lengths drawn from `lengths` with replacement. The same seed gives the same
/// requests at every rate, only closer together.
std::vector<simulated_request> sample_requests(std::span<const request_lengths> lengths, double rate,
                                               std::uint32_t count, std::uint64_t seed);

struct goodput_search {
  // A simulation has so many requests for each instance, so that large units are judged over as long a time as small
  // ones, and more where those would arrive within 20 times the target for TTFT and three times what a mean output
  // takes at the target for TPOT: a queue must have the time to grow. Never more than max_requests.
  std::uint32_t requests_per_instance = 1000;
  std::uint32_t max_requests = 50'000;
  std::uint64_t seed = 0;
  double relative_width = 0.03;  // of the bracket at which the bisection stops
  double first_rate = 1.0;       // where it starts, a second; a good guess saves simulations
  double least_rate = 0.0;       // a unit that does not reach it is of no interest: its goodput is given as 0
};

struct goodput_result {
  double rate = 0;  // a second; 0 when even single requests miss
  latency_summary at_rate;
  std::uint32_t simulations = 0;
};

/// For prefill_only units TPOT is met by definition, for decode_only units TTFT.
goodput_result find_goodput(const simulated_unit& unit, std::span<const request_lengths> lengths,
                            const latency_targets& targets, const goodput_search& search);

}  // namespace troupe::policies
