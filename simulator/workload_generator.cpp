#include "simulator/workload_generator.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace troupe::simulator {
namespace {

duration of_seconds(double s) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(s));
}

double draw_exponential(double rate, random_stream& random) {
  return -std::log(1.0 - random.unit()) / rate;
}

/// Poisson at the highest rate, of which the low times keep a part.
std::vector<double> draw_bursts(const arrivals& of, std::size_t n, random_stream& random) {
  const double share = of.burst_s / of.burst_every_s;
  const double high = of.rate * of.burst_factor;
  const double low = std::max(of.rate * (1 - share * of.burst_factor) / (1 - share), 0.0);
  std::vector<double> at;
  for (double now = 0; at.size() < n;) {
    now += draw_exponential(high, random);
    const bool in_burst = std::fmod(now, of.burst_every_s) < of.burst_s;
    if (in_burst || random.unit() * high < low) at.push_back(now);
  }
  return at;
}

}  // namespace

std::vector<double> draw_arrivals(const arrivals& of, std::size_t n, random_stream& random) {
  if (of.process == arrival_process::bursty) return draw_bursts(of, n, random);
  const double shape = 1 / (of.cv * of.cv);
  std::gamma_distribution<double> gamma(shape, 1 / (shape * of.rate));
  std::vector<double> at(n);
  double now = 0;
  for (double& each : at) {
    switch (of.process) {
      case arrival_process::gamma:
        now += gamma(random);
        break;
      case arrival_process::uniform:
        now += 1 / of.rate;
        break;
      default:
        now += draw_exponential(of.rate, random);
    }
    each = now;
  }
  return at;
}

std::vector<std::uint32_t> draw_lengths(const lengths& of, std::size_t n, random_stream& random) {
  std::vector<double> drawn(n, of.tokens);
  if (of.shape == length_shape::lognormal) {
    std::lognormal_distribution<double> lognormal(std::log(of.tokens), of.sigma);
    for (double& each : drawn)
      each = lognormal(random);
  } else if (of.shape == length_shape::zipf) {
    std::vector<double> weights(static_cast<std::size_t>(2 * of.tokens));
    double mean = 0, sum = 0;
    for (std::size_t rank = 1; rank <= weights.size(); ++rank) {
      const double weight = std::pow(static_cast<double>(rank), -of.exponent);
      weights[rank - 1] = weight;
      sum += weight;
      mean += weight * static_cast<double>(rank);
    }
    std::discrete_distribution<int> zipf(weights.begin(), weights.end());
    for (double& each : drawn)
      each = (zipf(random) + 1) * of.tokens * sum / mean;
  }
  std::vector<std::uint32_t> made(n);
  std::ranges::transform(drawn, made.begin(), [&](double length) {
    return static_cast<std::uint32_t>(std::clamp(std::round(length), 1.0, of.longest));
  });
  return made;
}

workload make_requests(const arrivals& coming, const lengths& prompts, const lengths& answers, std::size_t n,
                       std::uint64_t seed) {
  random_stream times(random_bits(seed, 1)), ins(random_bits(seed, 2)), outs(random_bits(seed, 3));
  const auto at = draw_arrivals(coming, n, times);
  const auto in = draw_lengths(prompts, n, ins);
  const auto out = draw_lengths(answers, n, outs);
  workload made;
  for (std::size_t i = 0; i < n; ++i)
    made.push_back(lone_request(of_seconds(at[i]), in[i], out[i]));
  return made;
}

workload make_requests(const arrivals& coming, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& sample,
                       std::size_t n, std::uint64_t seed) {
  random_stream times(random_bits(seed, 1)), choice(random_bits(seed, 2));
  const auto at = draw_arrivals(coming, n, times);
  workload made;
  for (const double when : at) {
    const auto& [in, out] = sample[choice.below(sample.size())];
    made.push_back(lone_request(of_seconds(when), std::max(in, 1u), std::max(out, 1u)));
  }
  return made;
}

workload repeat_programs(const arrivals& coming, const workload& some, std::size_t n, std::uint64_t seed) {
  random_stream times(random_bits(seed, 1)), choice(random_bits(seed, 2));
  const auto at = draw_arrivals(coming, n, times);
  workload made;
  for (const double when : at) {
    made.push_back(some[choice.below(some.size())]);
    made.back().arrival = of_seconds(when);
  }
  return made;
}

workload merge(workload one, const workload& other) {
  one.insert(one.end(), other.begin(), other.end());
  std::ranges::stable_sort(one, {}, &workload_program::arrival);
  return one;
}

}  // namespace troupe::simulator
