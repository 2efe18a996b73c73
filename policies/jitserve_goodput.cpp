#include "policies/jitserve_goodput.hpp"

#include "policies/local_order.hpp"
#include "policies/step_filler.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace troupe::policies {
namespace {

constexpr double least_seconds = 1e-6;  // what is divided by is at least this

double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}

// Each to floating point before the difference: extreme times would overflow.
double seconds_between(time_point from, time_point to) {
  return seconds(to.time_since_epoch()) - seconds(from.time_since_epoch());
}

double step_seconds(const batch_limits& limits) {
  return std::max(seconds(limits.step_time), least_seconds);
}

double seconds_left(const batch_sequence& s, const batch_limits& limits) {
  return std::max(predicted_seconds_left(s, limits), least_seconds);
}

double seconds_unserved(const batch_sequence& s, time_point now) {
  return seconds_between(std::max(s.arrived, s.served), now);
}

using indices = std::vector<std::size_t>;

// The best `room` of `sorted` (by priority, best first): see the header. They come to its front, still sorted.
void group_by_length(std::span<std::size_t> sorted, std::size_t room, std::span<const batch_sequence> sequences,
                     std::span<const double> priorities, double candidate_share) {
  if (room == 0 || sorted.size() <= room) return;
  const double last = priorities[sorted[room - 1]];
  const auto first_below = [&](double bound) {
    return std::partition_point(sorted.begin(), sorted.end(), [&](std::size_t i) { return priorities[i] >= bound; });
  };
  const auto begin = candidate_share > 0 ? first_below(last / candidate_share) : sorted.begin();
  const auto end = first_below(candidate_share * last);
  const std::size_t window = room - std::min(room, static_cast<std::size_t>(begin - sorted.begin()));
  indices candidates(begin, end);
  if (candidates.size() <= window) return;
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](std::size_t a, std::size_t b) { return sequences[a].n_known < sequences[b].n_known; });
  double sum = 0;
  for (std::size_t i = 0; i < window; ++i)
    sum += priorities[candidates[i]];
  double best = sum;
  std::size_t best_begin = 0;
  for (std::size_t i = window; i < candidates.size(); ++i) {
    sum += priorities[candidates[i]] - priorities[candidates[i - window]];
    if (sum > best) {
      best = sum;
      best_begin = i + 1 - window;
    }
  }
  std::vector<bool> taken(sequences.size(), false);
  for (std::size_t i = best_begin; i < best_begin + window; ++i)
    taken[candidates[i]] = true;
  std::stable_partition(begin, end, [&](std::size_t i) { return taken[i]; });
}

}  // namespace

double jitserve_batching::priority(const batch_sequence& s, const batch_limits& limits) const {
  if (s.objective.done_by != time_point::max()) return answer_priority(s, limits);
  if (s.objective.first_token_by != time_point::max()) return stream_priority(s, limits);
  return best_effort_priority(s, limits);
}

double jitserve_batching::answer_priority(const batch_sequence& s, const batch_limits& limits) const {
  const double needed = seconds_left(s, limits);
  const double there = seconds_between(limits.now, s.objective.done_by);
  const double tokens = static_cast<double>(drawn(s)) + std::max(1u, s.predicted_left);
  double chance = 0;
  double share = 1;
  if (there > least_seconds) {
    chance = 0.5 * std::erfc(-std::log(there / needed) / (std::max(settings_.log_error, 1e-3) * std::numbers::sqrt2));
    share = std::min(1.0, needed / there);
  }
  return tokens / needed * std::max(chance, settings_.hopeless) * std::pow(share, settings_.just_in_time);
}

double jitserve_batching::stream_priority(const batch_sequence& s, const batch_limits& limits) const {
  const double needed = seconds_left(s, limits);
  const double step = step_seconds(limits);
  const double every = seconds(s.objective.token_every);
  const double left = std::max(1u, s.predicted_left);
  // How long before it is due the next token would be there; behind the schedule it catches up by what a step is
  // faster.
  const double next_due = seconds_between(limits.now, s.objective.first_token_by) + drawn(s) * every;
  const double ahead = next_due - (needed - left * step) - step;
  double late = 0;
  if (ahead < 0) late = every > step ? std::ceil(-ahead / (every - step)) : left;
  const double worth = std::max(left - late, settings_.hopeless * left);
  const double share = step / (step + std::max(0.0, ahead));
  return worth / needed * std::pow(share, settings_.just_in_time);
}

double jitserve_batching::best_effort_priority(const batch_sequence& s, const batch_limits& limits) const {
  const double age = std::max(0.0, seconds_between(s.arrived, limits.now));
  const double worth =
      std::clamp(age / std::max(settings_.best_effort_patience_s, least_seconds), settings_.hopeless, 1.0);
  return std::max(1u, s.predicted_left) / seconds_left(s, limits) * worth;
}

// When a waiting one could only start by taking blocks or a place, what is admitted counts more: a replacement has to
// earn, in a frame, what the replaced one would lose by computing its tokens again.
std::vector<double> jitserve_batching::sticky_priorities(std::span<const batch_sequence> sequences,
                                                         const batch_limits& limits) const {
  std::vector<double> priorities;
  priorities.reserve(sequences.size());
  std::uint64_t wanted = 0;  // blocks
  for (const auto& s : sequences) {
    priorities.push_back(priority(s, limits));
    const std::uint64_t blocks = (std::uint64_t{s.n_known} + limits.block_tokens) / limits.block_tokens;
    wanted += blocks - std::min<std::uint64_t>(blocks, s.n_blocks);
  }
  if (!settings_.stickiness) return priorities;
  if (wanted <= limits.blocks_free && sequences.size() <= limits.max_sequences) return priorities;
  const double frame = settings_.frame_steps * step_seconds(limits);
  for (std::size_t i = 0; i < sequences.size(); ++i)
    if (sequences[i].admitted)
      priorities[i] *= 1 + sequences[i].n_computed * seconds(limits.token_time) / std::max(frame, least_seconds);
  return priorities;
}

std::vector<std::size_t> jitserve_batching::order(std::span<const batch_sequence> sequences,
                                                  const batch_limits& limits) const {
  const auto priorities = sticky_priorities(sequences, limits);
  indices order(sequences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (sequences[a].priority != sequences[b].priority) return sequences[a].priority < sequences[b].priority;
    return priorities[a] > priorities[b];
  });
  std::size_t room = limits.max_running == 0 ? limits.max_sequences : limits.max_running;
  const double too_long = settings_.starving_frames * settings_.frame_steps * step_seconds(limits);
  for (auto begin = order.begin(); begin != order.end();) {
    const auto end = std::find_if(begin, order.end(),
                                  [&](std::size_t i) { return sequences[i].priority != sequences[*begin].priority; });
    auto first = begin;
    for (std::uint32_t row = 0; row < settings_.starving_rows && first != end; ++row, ++first) {
      const auto longest = std::max_element(first, end, [&](std::size_t a, std::size_t b) {
        return seconds_unserved(sequences[a], limits.now) < seconds_unserved(sequences[b], limits.now);
      });
      if (seconds_unserved(sequences[*longest], limits.now) < too_long) break;
      std::rotate(first, longest, longest + 1);
    }
    room -= std::min(room, static_cast<std::size_t>(first - begin));
    if (settings_.length_grouping)
      group_by_length({first, end}, room, sequences, priorities, settings_.candidate_share);
    room -= std::min(room, static_cast<std::size_t>(end - first));
    begin = end;
  }
  return order;
}

batch_plan jitserve_batching::plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  return step_filler(sequences, limits, order(sequences, limits), displacing::yes).fill();
}

}  // namespace troupe::policies
