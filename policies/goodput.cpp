#include "policies/goodput.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::policies {
namespace {

// Below this share of the first guess a unit counts as unable.
constexpr double hopeless_share = 1e-3;
constexpr std::uint32_t max_doublings = 40;

double p90(std::vector<double>& values) {
  if (values.empty()) return 0.0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(0.9 * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// The requests of a simulation at any rate: longer ones of the same beginning at higher rates.
class workload_sample {
 public:
  workload_sample(const simulated_unit& unit, std::span<const request_lengths> lengths, const latency_targets& targets,
                  const goodput_search& search)
      : lengths_(lengths), search_(search) {
    double output_tokens = 0;
    for (const auto& request : lengths)
      output_tokens += request.output_tokens;
    const bool has_prompts = unit.kind != unit_kind::decode_only, has_decoding = unit.kind != unit_kind::prefill_only;
    if (has_prompts) instances_ += unit.n_prefill;
    if (has_prompts) shortest_s_ += 20.0 * targets.ttft_s;
    if (unit.kind == unit_kind::decode_only || unit.kind == unit_kind::disaggregated) instances_ += unit.n_decode;
    if (has_decoding) shortest_s_ += 3.0 * targets.tpot_s * output_tokens / static_cast<double>(lengths.size());
  }

  std::vector<simulated_request> at(double rate) const {
    const double wanted = std::max(1.0 * search_.requests_per_instance * instances_, rate * shortest_s_);
    const auto count = static_cast<std::uint32_t>(std::min(wanted, 1.0 * search_.max_requests));
    return sample_requests(lengths_, rate, std::max(count, 1u), search_.seed);
  }

 private:
  std::span<const request_lengths> lengths_;
  const goodput_search& search_;
  std::uint32_t instances_ = 0;
  double shortest_s_ = 0;
};

}  // namespace

latency_summary summarise(std::span<const request_timing> timings, const latency_targets& targets) {
  latency_summary made;
  std::vector<double> ttfts, tpots;
  std::size_t both = 0, in_ttft = 0, in_tpot = 0;
  for (const auto& timing : timings) {
    if (timing.rejected) continue;
    const bool ttft_met = timing.ttft_s <= targets.ttft_s, tpot_met = timing.tpot_s <= targets.tpot_s;
    in_ttft += ttft_met;
    in_tpot += tpot_met;
    both += ttft_met && tpot_met;
    ttfts.push_back(timing.ttft_s);
    tpots.push_back(timing.tpot_s);
  }
  if (timings.empty()) return made;
  const auto count = static_cast<double>(timings.size());
  made.joint = static_cast<double>(both) / count;
  made.ttft_share = static_cast<double>(in_ttft) / count;
  made.tpot_share = static_cast<double>(in_tpot) / count;
  made.ttft_p90_s = p90(ttfts);
  made.tpot_p90_s = p90(tpots);
  return made;
}

std::vector<simulated_request> sample_requests(std::span<const request_lengths> lengths, double rate,
                                               std::uint32_t count, std::uint64_t seed) {
  TROUPE_ASSERT(!lengths.empty() && rate > 0, "requests are drawn from lengths, at a rate");
  std::vector<simulated_request> made;
  made.reserve(count);
  random_stream random(seed);
  double now_s = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    now_s -= std::log1p(-random.unit()) / rate;
    const auto& drawn = lengths[random.below(lengths.size())];
    made.push_back({now_s, drawn.prompt_tokens, drawn.output_tokens});
  }
  return made;
}

goodput_result find_goodput(const simulated_unit& unit, std::span<const request_lengths> lengths,
                            const latency_targets& targets, const goodput_search& search) {
  const workload_sample workload(unit, lengths, targets, search);
  goodput_result made;
  const auto meets = [&](double rate) {
    ++made.simulations;
    const auto requests = workload.at(rate);
    const double allowed = (1.0 - targets.attainment) * static_cast<double>(requests.size());
    const miss_limit limit{targets.ttft_s, targets.tpot_s, static_cast<std::uint64_t>(allowed) + 1};
    const auto outcome = simulate_unit(unit, requests, limit);
    if (outcome.stopped) return false;
    const auto seen = summarise(outcome.requests, targets);
    if (seen.joint < targets.attainment) return false;
    made.rate = rate;
    made.at_rate = seen;
    return true;
  };
  double low = 0.0, high = search.first_rate;
  if (search.least_rate > 0.0) {
    if (!meets(search.least_rate)) return made;
    low = search.least_rate;
    high = std::max(high, low * 1.25);
  }
  for (std::uint32_t i = 0; i < max_doublings && meets(high); ++i) {
    low = high;
    high *= 2.0;
  }
  while (high - low > search.relative_width * high && high > hopeless_share * search.first_rate) {
    const double middle = low > 0.0 ? 0.5 * (low + high) : 0.25 * high;  // nothing met yet: look for the scale first
    (meets(middle) ? low : high) = middle;
  }
  return made;
}

}  // namespace troupe::policies
