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

// The share of the steps that the next token needs.
double urgency_of(double ahead, const batch_limits& limits) {
  return step_seconds(limits) / (step_seconds(limits) + std::max(0.0, ahead));
}

std::uint64_t blocks_for(std::uint64_t tokens, std::uint32_t block_tokens) {
  return (tokens + block_tokens - 1) / block_tokens;
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

double jitserve_batching::frame_seconds(const batch_limits& limits) const {
  return std::max(1u, settings_.frame_steps) * step_seconds(limits);
}

double jitserve_batching::priority(const batch_sequence& s, const batch_limits& limits) const {
  return priority_of(value_of(s, limits));
}

double jitserve_batching::priority_of(const value& v) const {
  return v.worth * std::pow(v.urgency, settings_.just_in_time);
}

jitserve_batching::value jitserve_batching::value_of(const batch_sequence& s, const batch_limits& limits) const {
  const auto& wants = s.objective;
  if (wants.done_by != time_point::max()) return answer_value(s, limits);
  const bool wants_first = wants.first_token_by != time_point::max() && drawn(s) == 0;
  if (wants.token_every.count() > 0 || wants_first) return stream_value(s, limits);
  return best_effort_value(s, limits);
}

// How long before it is due the next token would be there.
double jitserve_batching::seconds_ahead(const batch_sequence& s, const batch_limits& limits) const {
  const auto& wants = s.objective;
  const double first_due = wants.first_token_by != time_point::max()
                               ? seconds_between(limits.now, wants.first_token_by)
                               : seconds_between(limits.now, s.arrived) + settings_.first_token_within_s;
  const double step = step_seconds(limits);
  const double prompt = seconds_left(s, limits) - std::max(1u, s.predicted_left) * step;
  return first_due + drawn(s) * seconds(wants.token_every) - prompt - step;
}

jitserve_batching::value jitserve_batching::answer_value(const batch_sequence& s, const batch_limits& limits) const {
  const auto& wants = s.objective;
  const double needed = seconds_left(s, limits);
  const double planned = seconds_between(limits.now, wants.done_by);
  // A part that is late is not lost: the parts that follow can be hurried up a little.
  double possible = planned;
  if (wants.whole_by != time_point::max())
    possible += settings_.part_slack * std::max(0.0, seconds_between(wants.done_by, wants.whole_by));
  double chance = 0;
  if (possible > least_seconds) {
    const double error = std::max(settings_.log_error, 1e-3);
    chance = 0.5 * std::erfc(-std::log(possible / needed) / (error * std::numbers::sqrt2));
  }
  double share = planned > needed ? needed / planned : 1;
  if (drawn(s) == 0 && wants.first_token_by != time_point::max())
    share = std::max(share, urgency_of(seconds_ahead(s, limits), limits));
  const double tokens = static_cast<double>(drawn(s)) + std::max(1u, s.predicted_left);
  return {tokens / needed * std::max(chance, settings_.hopeless), share};
}

jitserve_batching::value jitserve_batching::stream_value(const batch_sequence& s, const batch_limits& limits) const {
  const double needed = seconds_left(s, limits);
  const double step = step_seconds(limits);
  const double every = seconds(s.objective.token_every);
  const double left = std::max(1u, s.predicted_left);
  // Behind its schedule it catches up by what a step is faster.
  const double ahead = seconds_ahead(s, limits);
  double late = 0;
  if (ahead < 0) late = every > step ? std::ceil(-ahead / (every - step)) : left;
  const double worth = std::max(left - late, settings_.hopeless * left);
  return {worth / needed, urgency_of(ahead, limits)};
}

jitserve_batching::value jitserve_batching::best_effort_value(const batch_sequence& s,
                                                              const batch_limits& limits) const {
  const double age = std::max(0.0, seconds_between(s.arrived, limits.now));
  const double worth =
      std::clamp(age / std::max(settings_.best_effort_patience_s, least_seconds), settings_.hopeless, 1.0);
  return {std::max(1u, s.predicted_left) / seconds_left(s, limits) * worth, 1};
}

// The longest unserved of those that starve come to the front, at most starving_rows; how many that are.
std::size_t jitserve_batching::lead_with_starving(std::span<std::size_t> order,
                                                  std::span<const batch_sequence> sequences,
                                                  const batch_limits& limits) const {
  const double too_long = settings_.starving_frames * frame_seconds(limits);
  std::size_t n = 0;
  for (; n < std::min<std::size_t>(settings_.starving_rows, order.size()); ++n) {
    const auto longest = std::max_element(
        order.begin() + static_cast<std::ptrdiff_t>(n), order.end(), [&](std::size_t a, std::size_t b) {
          return seconds_unserved(sequences[a], limits.now) < seconds_unserved(sequences[b], limits.now);
        });
    if (seconds_unserved(sequences[*longest], limits.now) < too_long) break;
    std::rotate(order.begin() + static_cast<std::ptrdiff_t>(n), longest, longest + 1);
  }
  return n;
}

// Of the class at [begin, end) of the orders: waiting ones that would have to take blocks or a place and earn less in a
// frame than that costs go to the back. Who would be in the batch loses the frame and the time to compute it again, who
// is admitted but not in the batch only the latter.
void jitserve_batching::hold_back(orders& of, std::size_t begin, std::size_t end, std::size_t room,
                                  std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  const double frame = frame_seconds(limits);
  std::vector<std::size_t> position(sequences.size());  // in `serve`
  for (std::size_t p = 0; p < of.serve.size(); ++p)
    position[of.serve[p]] = p;
  std::uint64_t n_admitted = 0;
  for (const auto& s : sequences)
    n_admitted += s.admitted ? 1 : 0;
  std::uint64_t blocks = limits.blocks_free;
  std::uint64_t places = limits.max_sequences - std::min<std::uint64_t>(limits.max_sequences, n_admitted);
  std::size_t victims = end;  // at and behind this position of `keep` they are spoken for
  indices kept, held;
  for (std::size_t at = begin; at < end && kept.size() < room; ++at) {
    const std::size_t i = of.serve[at];
    if (!sequences[i].admitted) {
      const std::uint64_t needed = blocks_for(sequences[i].n_known, limits.block_tokens);
      const std::size_t batch = begin + room + held.size();  // who is not behind this runs if this one does not
      double loss = 0;
      std::uint64_t blocks_then = blocks;
      std::uint64_t places_then = places;
      std::size_t v = victims;
      while ((blocks_then < needed || places_then == 0) && v > begin) {
        const std::size_t taken = of.keep[--v];
        if (taken == i) break;
        const auto& victim = sequences[taken];
        if (!victim.admitted) continue;
        blocks_then += victim.n_blocks;
        ++places_then;
        loss += of.worths[taken] *
                (victim.n_computed * seconds(limits.token_time) + (position[taken] <= batch ? frame : 0));
      }
      if (loss > 0 && of.worths[i] * frame <= loss) {
        held.push_back(i);
        continue;
      }
      blocks = blocks_then - std::min(blocks_then, needed);
      places = places_then - std::min<std::uint64_t>(places_then, 1);
      victims = v;
    }
    kept.push_back(i);
  }
  if (held.empty()) return;
  // What was not looked at stays between the two.
  const auto from = of.serve.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto seen = from + static_cast<std::ptrdiff_t>(kept.size() + held.size());
  kept.insert(kept.end(), seen, of.serve.begin() + static_cast<std::ptrdiff_t>(end));
  kept.insert(kept.end(), held.begin(), held.end());
  std::copy(kept.begin(), kept.end(), from);
}

jitserve_batching::orders jitserve_batching::order(std::span<const batch_sequence> sequences,
                                                   const batch_limits& limits) const {
  orders of;
  for (const auto& s : sequences) {
    const value v = value_of(s, limits);
    of.worths.push_back(v.worth);
    of.priorities.push_back(priority_of(v));
  }
  const auto sorted_by = [&](const std::vector<double>& ranks) {
    indices order(sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (sequences[a].priority != sequences[b].priority) return sequences[a].priority < sequences[b].priority;
      return ranks[a] > ranks[b];
    });
    return order;
  };
  of.serve = sorted_by(of.priorities);
  of.keep = sorted_by(of.worths);
  std::size_t room = limits.max_running == 0 ? limits.max_sequences : limits.max_running;
  for (std::size_t begin = 0, end = 0; begin < of.serve.size(); begin = end) {
    while (end < of.serve.size() && sequences[of.serve[end]].priority == sequences[of.serve[begin]].priority)
      ++end;
    const auto one_class = std::span(of.serve).subspan(begin, end - begin);
    const std::size_t starving = lead_with_starving(one_class, sequences, limits);
    const auto keep = of.keep.begin() + static_cast<std::ptrdiff_t>(begin);
    for (std::size_t n = 0; n < starving; ++n) {  // whatever it is worth
      const auto at = std::find(keep, of.keep.end(), one_class[n]);
      std::rotate(keep, at, at + 1);
    }
    const std::size_t left = room - std::min(room, starving);
    if (settings_.length_grouping)
      group_by_length(one_class.subspan(starving), left, sequences, of.priorities, settings_.candidate_share);
    if (settings_.stickiness) hold_back(of, begin + starving, end, left, sequences, limits);
    room -= std::min(room, one_class.size());
  }
  return of;
}

batch_plan jitserve_batching::plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  auto of = order(sequences, limits);
  return step_filler(sequences, limits, std::move(of.serve), displacing::yes, std::move(of.keep)).fill();
}

}  // namespace troupe::policies
