#include "policies/step_filler.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace troupe::policies {
namespace {

std::uint32_t blocks_for(std::uint32_t tokens, std::uint32_t block_tokens) {
  return (tokens + block_tokens - 1) / block_tokens;
}

}  // namespace

std::vector<std::size_t> order_by(std::span<const batch_sequence> sequences,
                                  const std::function<double(const batch_sequence&)>& rank) {
  std::vector<double> ranks;
  ranks.reserve(sequences.size());
  for (const auto& s : sequences)
    ranks.push_back(rank(s));
  std::vector<std::size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (sequences[a].priority != sequences[b].priority) return sequences[a].priority < sequences[b].priority;
    return ranks[a] < ranks[b];
  });
  return order;
}

step_filler::step_filler(std::span<const batch_sequence> sequences, const batch_limits& limits,
                         std::vector<std::size_t> order, displacing waiting_ones, std::vector<std::size_t> keep)
    : sequences_(sequences),
      limits_(limits),
      order_(std::move(order)),
      keep_(keep.empty() ? order_ : std::move(keep)),
      position_(sequences.size()),
      displacing_(waiting_ones),
      cap_(limits.max_running == 0 ? std::numeric_limits<std::size_t>::max() : limits.max_running),
      last_(sequences.size()),
      chosen_(sequences.size(), true),
      out_(sequences.size(), false),
      blocks_free_(limits.blocks_free),
      budget_(limits.max_batched_tokens) {
  for (std::size_t p = 0; p < keep_.size(); ++p)
    position_[keep_[p]] = p;
  for (const auto& s : sequences)
    n_admitted_ += s.admitted ? 1 : 0;
}

batch_plan step_filler::fill() {
  if (cap_ < sequences_.size()) choose();
  decode(among::chosen, may_preempt::yes);
  beside_streams_ = beside_streams_ || !granted_.empty();
  add_guesses();
  prefill_budget_ = beside_streams_ ? std::min<std::uint64_t>(budget_, interleaved()) : budget_;
  compute_prompts(among::chosen);
  decode(among::others, may_preempt::yes);
  compute_prompts(among::others);
  if (!plan_.preempt.empty()) {  // for a stream that found no block before a prompt took more than it needed
    decode(among::chosen, may_preempt::no);
    decode(among::others, may_preempt::no);
  }
  return take();
}

// The first of the order that can use the step. A prompt is chosen only while there are tokens for it, so that no place
// is kept for one that cannot use it. A stream that is passed over waits for the prompts of this step all the same.
void step_filler::choose() {
  chosen_.assign(sequences_.size(), false);
  beside_streams_ = std::any_of(order_.begin(), order_.end(), [&](std::size_t i) { return is_decoding(i); });
  std::size_t chosen = 0;
  std::uint64_t budget = beside_streams_ ? std::min<std::uint64_t>(budget_, interleaved()) : budget_;
  std::uint32_t n_admitted = n_admitted_;
  for (const std::size_t i : order_) {
    if (chosen == cap_) break;
    if (!is_decoding(i)) {
      if (left(i) == 0 || budget == 0) continue;
      if (!sequences_[i].admitted && displacing_ == displacing::no && n_admitted++ >= limits_.max_sequences) continue;
      budget -= std::min(budget, cost(i, std::min(left(i), affordable(i, budget))));
    }
    chosen_[i] = true;
    ++chosen;
  }
}

void step_filler::decode(among whom, may_preempt preempting) {
  for (const std::size_t i : order_) {
    if (full()) return;
    if (is_decoding(i) && is_among(i, whom)) grant(i, 1, preempting);
  }
}

void step_filler::compute_prompts(among whom) {
  for (const std::size_t i : order_) {
    if (prefill_budget_ == 0 || full()) return;
    if (out_[i] || is_decoding(i) || left(i) == 0 || !is_among(i, whom)) continue;
    prefill_budget_ -= std::min(prefill_budget_, cost(i, grant_prompt(i, prefill_budget_)));
  }
}

bool step_filler::fill_with_whole_prompts() {
  bool alone = false;
  for (const std::size_t i : order_) {
    if (alone || budget_ == 0 || full()) break;
    if (out_[i] || is_decoding(i) || left(i) == 0) continue;
    const std::uint64_t whole = cost(i, left(i));
    const bool longer_than_a_step = whole > limits_.max_batched_tokens;
    alone = longer_than_a_step && granted_.empty();
    if (!alone && (longer_than_a_step || whole > budget_)) break;
    // A prompt under way holds blocks and may take more; a new one starts when it fits as it is.
    if (!sequences_[i].admitted && fitting(i, left(i)) < left(i)) break;
    if (grant_prompt(i, budget_) == 0) break;
  }
  return !granted_.empty();
}

void step_filler::fill_with_decoding() {
  decode(among::chosen, may_preempt::yes);
  add_guesses();
}

// Guesses go where they raise the tokens a unit of time: a step of r rows takes 1 + (r - 1) row_cost, and a guess
// counts with the chance that it and all before it are right. The likeliest first; the first that does not pay ends
// it, and so does the first that finds no block.
void step_filler::add_guesses() {
  float tokens = static_cast<float>(granted_.size());
  float time = 1.0f + (tokens - 1.0f) * limits_.row_cost;
  std::vector<float> chances;  // of each stream's next guess
  for (const std::size_t i : granted_)
    chances.push_back(sequences_[i].n_guessed > 0 ? std::clamp(sequences_[i].acceptance, 0.0f, 1.0f) : 0.0f);
  while (budget_ > 0 && !chances.empty()) {
    const auto g = static_cast<std::size_t>(std::max_element(chances.begin(), chances.end()) - chances.begin());
    const std::size_t i = granted_[g];
    std::uint32_t& n_tokens = plan_.grants[g].n_tokens;
    if (chances[g] * time <= limits_.row_cost * tokens) return;
    const std::uint32_t missing = missing_blocks(i, n_tokens + 1) - missing_blocks(i, n_tokens);
    if (missing > blocks_free_) return;
    blocks_free_ -= missing;
    --budget_;
    ++n_tokens;
    tokens += chances[g];
    time += limits_.row_cost;
    chances[g] = n_tokens - 1 < sequences_[i].n_guessed ? chances[g] * sequences_[i].acceptance : 0.0f;
  }
}

// What n further tokens of a prompt cost, in tokens at an empty context, and how many a budget buys: at least one.
std::uint64_t step_filler::cost(std::size_t i, std::uint64_t n) const {
  const std::uint64_t unit = limits_.attention_context;
  return unit == 0 ? n : (n * (unit + sequences_[i].n_computed) + unit - 1) / unit;
}
std::uint32_t step_filler::affordable(std::size_t i, std::uint64_t budget) const {
  const std::uint64_t unit = limits_.attention_context;
  const std::uint64_t n = unit == 0 ? budget : budget * unit / (unit + sequences_[i].n_computed);
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(n, 1));
}

std::uint32_t step_filler::missing_blocks(std::size_t i, std::uint32_t n_tokens) const {
  const auto& s = sequences_[i];
  const std::uint32_t needed = blocks_for(s.n_computed + n_tokens, limits_.block_tokens);
  return needed > s.n_blocks ? needed - s.n_blocks : 0;
}

// The most tokens, up to n, that the free blocks allow.
std::uint32_t step_filler::fitting(std::size_t i, std::uint32_t n) const {
  const auto& s = sequences_[i];
  const std::uint64_t room = (std::uint64_t{s.n_blocks} + blocks_free_) * limits_.block_tokens;
  return room <= s.n_computed ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(n, room - s.n_computed));
}

std::uint32_t step_filler::grant(std::size_t i, std::uint32_t wanted, may_preempt preempting) {
  if (out_[i]) return 0;
  wanted = std::min(wanted, budget_);
  if (wanted == 0) return 0;
  // An admitted one goes on with as little as a token; a waiting one displaces others only for its whole chunk.
  const std::uint32_t enough = sequences_[i].admitted ? 1 : wanted;
  if (preempting == may_preempt::yes)
    while (fitting(i, enough) < enough && preempt_one_behind(i)) {
    }
  const std::uint32_t n = fitting(i, wanted);
  if (n == 0) return 0;
  blocks_free_ -= missing_blocks(i, n);
  budget_ -= n;
  out_[i] = true;
  granted_.push_back(i);
  plan_.grants.push_back({sequences_[i].id, n});
  return n;
}

bool step_filler::has_place(std::size_t i) {
  if (sequences_[i].admitted || n_admitted_ < limits_.max_sequences) return true;
  return displacing_ == displacing::yes && n_admitted_ == limits_.max_sequences && preempt_one_behind(i);
}

// Whether a waiting sequence will find room to its last known token, beside what the admitted ones are sure to take:
// the rest of their prompts, and a block for each stream. Else it would begin, and soon be preempted or preempt.
bool step_filler::fits_whole(std::size_t i) const {
  if (n_admitted_ == 0) return true;
  std::uint64_t promised = n_admitted_;
  for (std::size_t other = 0; other < sequences_.size(); ++other)
    if (sequences_[other].admitted && !out_[other] && !is_decoding(other))
      promised += missing_blocks(other, left(other));
  return missing_blocks(i, left(i)) + promised <= blocks_free_;
}

// Tokens of a prompt for so much of the budget; 0 when it has no room.
std::uint32_t step_filler::grant_prompt(std::size_t i, std::uint64_t budget) {
  const bool waiting = !sequences_[i].admitted;
  if (waiting && (!admitting_ || !has_place(i))) return 0;
  const bool takes = !waiting || displacing_ == displacing::yes;
  if (!takes && !fits_whole(i)) {
    admitting_ = false;
    return 0;
  }
  const std::uint32_t granted =
      grant(i, std::min(left(i), affordable(i, budget)), takes ? may_preempt::yes : may_preempt::no);
  if (waiting && granted == 0) admitting_ = false;
  if (waiting && granted > 0) ++n_admitted_;
  return granted;
}

// The last admitted sequence of keep_ that has no grant yet and comes after i. Whoever was passed over from the
// back once cannot be taken later either, so the search goes on where it stopped.
bool step_filler::preempt_one_behind(std::size_t i) {
  for (; last_ > position_[i] + 1; --last_) {
    const std::size_t v = keep_[last_ - 1];
    const auto& victim = sequences_[v];
    if (!victim.admitted || victim.n_blocks == 0 || out_[v]) continue;
    out_[v] = true;
    blocks_free_ += victim.n_blocks;
    --n_admitted_;
    plan_.preempt.push_back(victim.id);
    return true;
  }
  return false;
}

}  // namespace troupe::policies
