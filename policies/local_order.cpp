#include "policies/local_order.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <limits>

namespace troupe::policies {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();

double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}

/// From a time to a deadline; infinite for none. In floating point before the difference: max() minus a negative time
/// would overflow.
double seconds_until(time_point deadline, time_point now) {
  if (deadline == time_point::max()) return never;
  return seconds(deadline.time_since_epoch()) - seconds(now.time_since_epoch());
}

}  // namespace

std::uint32_t drawn(const batch_sequence& s) {
  return s.n_known - std::min(s.n_known, s.n_prompt);
}

double predicted_seconds_left(const batch_sequence& s, const batch_limits& limits) {
  const std::uint32_t to_compute = s.n_known - s.n_computed;
  // The last known token is computed by the step that draws the next.
  return std::max(1u, s.predicted_left) * seconds(limits.step_time) +
         (to_compute - std::min(to_compute, 1u)) * seconds(limits.token_time);
}

batch_plan ordered_batching::plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  auto order = order_by(sequences, [&](const batch_sequence& s) { return rank(s, limits); });
  return step_filler(sequences, limits, std::move(order), waiting_ones()).fill();
}

batch_plan prefill_first_batching::plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  const auto order = order_by(sequences, [](const batch_sequence&) { return 0.0; });
  step_filler prompts(sequences, limits, order, displacing::no);
  if (prompts.fill_with_whole_prompts()) return prompts.take();
  step_filler streams(sequences, limits, order, displacing::no);
  streams.fill_with_decoding();
  if (batch_plan plan = streams.take(); !plan.grants.empty()) return plan;
  // Neither a whole prompt nor a stream has room: whatever moves.
  return step_filler(sequences, limits, order, displacing::no).fill();
}

double sjf_batching::rank(const batch_sequence& s, const batch_limits& limits) const {
  return predicted_seconds_left(s, limits);
}

double edf_batching::rank(const batch_sequence& s, const batch_limits& limits) const {
  const auto& wants = s.objective;
  if (drawn(s) == 0 && wants.first_token_by != time_point::max())
    return std::min(seconds_until(wants.first_token_by, limits.now), seconds_until(wants.done_by, limits.now));
  if (wants.done_by != time_point::max()) return seconds_until(wants.done_by, limits.now);
  return seconds_until(wants.first_token_by, limits.now) + drawn(s) * seconds(wants.token_every);
}

double urgency_batching::rank(const batch_sequence& s, const batch_limits& limits) const {
  const auto deadline = std::min(s.objective.done_by, s.objective.first_token_by);
  const double slack = seconds_until(deadline, limits.now) - predicted_seconds_left(s, limits);
  // Admitted ones before all waiting ones: a slack is far below this, even of those without a deadline.
  constexpr double behind_admitted = 1e9;
  return std::min(slack, behind_admitted / 2) + (s.admitted ? 0 : behind_admitted);
}

double las_batching::rank(const batch_sequence& s, const batch_limits&) const {
  // What only counts as long as its blocks are there would send a preempted one back to the front, where it displaces
  // who displaced it: a prompt counts once its first token is drawn, and then for good.
  return drawn(s) == 0 ? 0 : std::bit_width(s.n_known);
}

}  // namespace troupe::policies
