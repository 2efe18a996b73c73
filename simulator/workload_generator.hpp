// Workloads drawn from distributions, or from the lengths of a trace: when programs come and how long their prompts and
// answers are. The same seed gives the same workload.
#pragma once

#include "base/random.hpp"
#include "base/result.hpp"
#include "simulator/workload.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe::simulator {

enum class arrival_process : std::uint8_t {
  poisson,
  gamma,   // intervals of a gamma distribution with a coefficient of variation; 1 is Poisson, more is burstier
  bursty,  // Poisson, with a rate that switches between a high and a low one
  uniform  // equal intervals
};

struct arrivals {
  arrival_process process = arrival_process::poisson;
  double rate = 1;  // programs a second
  double cv = 1;    // of gamma
  // Of bursty: for so long at so many times the rate, then for so long at what keeps the mean.
  double burst_s = 5;
  double burst_every_s = 30;
  double burst_factor = 3;
};

/// Seconds since the beginning of n arrivals, ascending.
std::vector<double> draw_arrivals(const arrivals& of, std::size_t n, random_stream& random);

enum class length_shape : std::uint8_t { fixed, lognormal, zipf };

struct lengths {
  length_shape shape = length_shape::fixed;
  double tokens = 128;  // the fixed length, the lognormal's median, the mean of zipf
  double sigma = 0.5;   // of lognormal
  double exponent = 2;  // of zipf: ranks 1 to 2 * tokens, rescaled to the mean, as Llumnix's artifact draws them
  double longest = 6144;
};

constexpr lengths lognormal_lengths(double median, double sigma) {
  return {.shape = length_shape::lognormal, .tokens = median, .sigma = sigma};
}

/// At least 1.
std::vector<std::uint32_t> draw_lengths(const lengths& of, std::size_t n, random_stream& random);

/// n requests with lengths of their own.
workload make_requests(const arrivals& coming, const lengths& prompts, const lengths& answers, std::size_t n,
                       std::uint64_t seed);
/// n requests with pairs (prompt, answer) drawn from a sample.
workload make_requests(const arrivals& coming, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& sample,
                       std::size_t n, std::uint64_t seed);
/// n programs of one kind with their lengths as they are, drawn from some; only their arrivals are new.
workload repeat_programs(const arrivals& coming, const workload& some, std::size_t n, std::uint64_t seed);

/// Both, by arrival.
workload merge(workload one, const workload& other);

}  // namespace troupe::simulator
