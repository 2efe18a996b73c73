#include "policies/batching.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::policies {
namespace {

std::uint32_t blocks_for(std::uint32_t tokens, std::uint32_t block_tokens) {
  return (tokens + block_tokens - 1) / block_tokens;
}

// Fills one step. Serves sequences in `order_`; takes blocks from the back of the same order when they run out.
class step_filler {
 public:
  step_filler(std::span<const batch_sequence> sequences, const batch_limits& limits)
      : sequences_(sequences),
        limits_(limits),
        order_(sequences.size()),
        out_(sequences.size(), false),
        blocks_free_(limits.blocks_free),
        budget_(limits.max_batched_tokens) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return sequences[a].priority < sequences[b].priority; });
    for (const auto& s : sequences)
      n_admitted_ += s.admitted ? 1 : 0;
  }

  batch_plan fill() {
    for (const std::size_t i : order_)
      if (is_decoding(i)) grant(i, 1, may_preempt::yes);
    const bool decoding = !plan_.grants.empty();
    add_guesses();
    std::uint64_t prefill = decoding ? std::min(budget_, std::max(1u, limits_.interleaved_prefill_tokens)) : budget_;
    bool admitting =
        true;  // nobody overtakes a waiting sequence that found no room, else a long prompt could wait for ever
    for (const std::size_t i : order_) {
      if (prefill == 0) break;
      const auto& s = sequences_[i];
      if (out_[i] || is_decoding(i) || left(i) == 0) continue;
      if (!s.admitted && (!admitting || n_admitted_ >= limits_.max_sequences)) continue;
      const std::uint32_t granted =
          grant(i, std::min(left(i), affordable(i, prefill)), s.admitted ? may_preempt::yes : may_preempt::no);
      if (granted == 0 && !s.admitted) admitting = false;
      if (granted > 0 && !s.admitted) ++n_admitted_;
      prefill -= std::min(prefill, cost(i, granted));
    }
    return std::move(plan_);
  }

 private:
  // Guesses go where they raise the tokens a unit of time: a step of r rows takes 1 + (r - 1) row_cost, and a guess
  // counts with the chance that it and all before it are right. The likeliest first; the first that does not pay ends
  // it, and so does the first that finds no block.
  void add_guesses() {
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

  enum class may_preempt : bool { no, yes };

  std::uint32_t left(std::size_t i) const { return sequences_[i].n_known - sequences_[i].n_computed; }
  bool is_decoding(std::size_t i) const { return sequences_[i].admitted && left(i) == 1; }

  // What n further tokens of a prompt cost, in tokens at an empty context, and how many a budget buys: at least one.
  std::uint64_t cost(std::size_t i, std::uint64_t n) const {
    const std::uint64_t unit = limits_.attention_context;
    return unit == 0 ? n : (n * (unit + sequences_[i].n_computed) + unit - 1) / unit;
  }
  std::uint32_t affordable(std::size_t i, std::uint64_t budget) const {
    const std::uint64_t unit = limits_.attention_context;
    const std::uint64_t n = unit == 0 ? budget : budget * unit / (unit + sequences_[i].n_computed);
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(n, 1));
  }

  std::uint32_t missing_blocks(std::size_t i, std::uint32_t n_tokens) const {
    const auto& s = sequences_[i];
    const std::uint32_t needed = blocks_for(s.n_computed + n_tokens, limits_.block_tokens);
    return needed > s.n_blocks ? needed - s.n_blocks : 0;
  }

  // The most tokens, up to n, that the free blocks allow.
  std::uint32_t fitting(std::size_t i, std::uint32_t n) const {
    const auto& s = sequences_[i];
    const std::uint64_t room = (std::uint64_t{s.n_blocks} + blocks_free_) * limits_.block_tokens;
    return room <= s.n_computed ? 0 : static_cast<std::uint32_t>(std::min<std::uint64_t>(n, room - s.n_computed));
  }

  std::uint32_t grant(std::size_t i, std::uint32_t wanted, may_preempt preempting) {
    if (out_[i]) return 0;
    wanted = std::min(wanted, budget_);
    if (wanted == 0) return 0;
    if (preempting == may_preempt::yes)
      while (fitting(i, 1) == 0 && preempt_one_behind(i)) {
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

  // The last admitted sequence in the order that has no grant yet and comes after i.
  bool preempt_one_behind(std::size_t i) {
    for (auto it = order_.rbegin(); it != order_.rend() && *it != i; ++it) {
      const auto& victim = sequences_[*it];
      if (!victim.admitted || victim.n_blocks == 0 || out_[*it]) continue;
      out_[*it] = true;
      blocks_free_ += victim.n_blocks;
      --n_admitted_;
      plan_.preempt.push_back(victim.id);
      return true;
    }
    return false;
  }

  std::span<const batch_sequence> sequences_;
  const batch_limits& limits_;
  std::vector<std::size_t> order_;    // indices by (priority, arrival)
  std::vector<bool> out_;             // granted or preempted in this plan
  std::vector<std::size_t> granted_;  // the index of each grant's sequence
  std::uint32_t blocks_free_;
  std::uint32_t budget_;
  std::uint32_t n_admitted_ = 0;
  batch_plan plan_;
};

}  // namespace

batch_plan fcfs_batching::plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const {
  return step_filler(sequences, limits).fill();
}

result<std::unique_ptr<batching_policy>> make_batching_policy(std::string_view name) {
  if (name == "fcfs") return std::unique_ptr<batching_policy>(std::make_unique<fcfs_batching>());
  return make_error(errc::invalid_argument, "unknown batching policy '" + std::string(name) + "'; there is: fcfs.",
                    "scheduler");
}

}  // namespace troupe::policies
