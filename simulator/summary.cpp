#include "simulator/summary.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace troupe::simulator {
namespace {

double seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

/// Of Student's t, two-sided 95 %, by degrees of freedom from 1 on.
constexpr std::array t_quantiles{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                 2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086};

struct program_progress {
  std::size_t n_calls = 0;
  std::size_t n_whole = 0;
  std::uint64_t tokens = 0;
  std::uint64_t tokens_in_time = 0;
  double end_s = 0;
  bool ttft_met = true;
  bool tpot_met = true;
};

std::size_t count_calls(const workload_program& of) {
  std::size_t n = 0;
  for (const auto& stage : of.stages)
    n += stage.size();
  return n;
}

std::uint64_t count_tokens(const workload_program& of) {
  std::uint64_t n = 0;
  for (const auto& stage : of.stages)
    for (const auto& call : stage)
      n += call.output_tokens;
  return n;
}

void note(program_progress& of, const service_objective& objective, const call_outcome& call) {
  ++of.n_calls;
  of.n_whole += call.is_whole() ? 1 : 0;
  of.tokens += call.n_tokens;
  of.tokens_in_time += call.tokens_in_time;
  of.end_s = std::max(of.end_s, call.end_s);
  if (objective.ttft.count() > 0)
    of.ttft_met = of.ttft_met && call.n_tokens > 0 && call.ttft_s() <= seconds(objective.ttft);
  if (objective.tpot.count() > 0) of.tpot_met = of.tpot_met && call.tpot_s() <= seconds(objective.tpot);
}

}  // namespace

double percentile(std::vector<double> samples, double p) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  const double rank = p * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const auto above = std::min(below + 1, samples.size() - 1);
  return samples[below] + (rank - static_cast<double>(below)) * (samples[above] - samples[below]);
}

double mean(std::span<const double> samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

estimate estimate_mean(std::span<const double> samples) {
  estimate made{mean(samples), 0};
  if (samples.size() < 2) return made;
  double squares = 0;
  for (const double sample : samples)
    squares += (sample - made.mean) * (sample - made.mean);
  const std::size_t freedom = samples.size() - 1;
  const double deviation = std::sqrt(squares / static_cast<double>(freedom));
  const double t = freedom <= t_quantiles.size() ? t_quantiles[freedom - 1] : 1.96;
  made.half_width = t * deviation / std::sqrt(static_cast<double>(samples.size()));
  return made;
}

latency_summary summarise(const std::vector<double>& times) {
  return {mean(times), percentile(times, 0.5), percentile(times, 0.9), percentile(times, 0.99)};
}

outcome_summary summarise(const workload& asked, const simulation_outcome& outcome,
                          const std::function<bool(const workload_program&)>& wanted) {
  outcome_summary made;
  std::vector<double> ttft, tpot, e2e, program_e2e;
  std::vector<program_progress> programs(asked.size());
  std::uint64_t tokens = 0;
  double lost_s = 0;
  for (const auto& call : outcome.calls) {
    const auto& of = asked[call.program];
    tokens += call.n_tokens;
    if (wanted && !wanted(of)) continue;
    ++made.calls;
    note(programs[call.program], of.objective, call);
    lost_s += call.preempted_s;
    if (!call.is_whole()) ++made.failed;
    if (call.n_tokens > 0) ttft.push_back(call.ttft_s());
    if (!call.is_whole()) continue;
    e2e.push_back(call.e2e_s());
    if (call.n_tokens > 1) tpot.push_back(call.tpot_s());
  }
  std::size_t n_met = 0, n_ttft_met = 0, n_tpot_met = 0;
  std::uint64_t tokens_asked = 0, tokens_counting = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto& of = asked[i];
    const auto& progress = programs[i];
    if (wanted && !wanted(of)) continue;
    ++made.programs;
    tokens_asked += count_tokens(of);
    const bool whole = progress.n_whole == count_calls(of);
    const double took_s = progress.end_s - std::chrono::duration<double>(of.arrival).count();
    const bool ttlt_met = whole && (of.objective.ttlt.count() == 0 || took_s <= seconds(of.objective.ttlt));
    if (whole) program_e2e.push_back(took_s);
    n_met += whole && ttlt_met && progress.ttft_met && progress.tpot_met ? 1 : 0;
    n_ttft_met += whole && progress.ttft_met ? 1 : 0;
    n_tpot_met += whole && progress.tpot_met ? 1 : 0;
    const bool has_schedule = of.objective.ttft.count() > 0 || of.objective.tpot.count() > 0;
    tokens_counting += has_schedule ? progress.tokens_in_time : ttlt_met ? progress.tokens : 0;
  }
  const double n = std::max<double>(static_cast<double>(made.programs), 1);
  made.attainment = static_cast<double>(n_met) / n;
  made.ttft_attainment = static_cast<double>(n_ttft_met) / n;
  made.tpot_attainment = static_cast<double>(n_tpot_met) / n;
  made.ttft = summarise(ttft);
  made.tpot = summarise(tpot);
  made.e2e = summarise(e2e);
  made.program_e2e = summarise(program_e2e);
  const double duration_s = std::max(outcome.duration_s, 1e-9);
  made.tokens_per_s = static_cast<double>(tokens) / duration_s;
  made.token_goodput = static_cast<double>(tokens_counting) / std::max<double>(static_cast<double>(tokens_asked), 1);
  made.goodput_tokens_per_s = static_cast<double>(tokens_counting) / duration_s;
  made.preemption_loss_s = lost_s / std::max<double>(static_cast<double>(made.calls), 1);
  made.moved = outcome.moved;
  for (const auto& instance : outcome.instances) {
    made.preemptions += instance.preemptions;
    made.instance_seconds += instance.up_until_s - instance.up_since_s;
  }
  return made;
}

}  // namespace troupe::simulator
