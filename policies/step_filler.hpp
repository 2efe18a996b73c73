// Fills one step of continuous batching from an order of the sequences, best first: what all local orders have in
// common. Decoding streams get their next token before prompts get what is left of the token budget (Sarathi-Serve,
// OSDI 2024), guesses are tried where they pay, and whoever finds no block takes them from the back of the order.
//
// When a step may compute fewer sequences than there are (batch_limits::max_running), the first of the order that can
// use the step are chosen, decoding or not, and room that they leave goes to the others. Who is passed over keeps its
// blocks. Cost: O(n).
#pragma once

#include "policies/batching.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace troupe::policies {

/// Whether a waiting sequence may take blocks, or the place, of an admitted one behind it in the order, which then has
/// to compute its tokens again.
enum class displacing : bool { no, yes };

/// Indices by (priority, rank), ties in order of arrival; lowest first. Rank is called once a sequence.
std::vector<std::size_t> order_by(std::span<const batch_sequence> sequences,
                                  const std::function<double(const batch_sequence&)>& rank);

class step_filler {
 public:
  /// `order` has the index of each sequence once, and so has `keep`, if another order decides whose blocks are taken:
  /// those of the last in it, and never for one behind them in it.
  step_filler(std::span<const batch_sequence> sequences, const batch_limits& limits, std::vector<std::size_t> order,
              displacing waiting_ones, std::vector<std::size_t> keep = {});

  /// Decoding and chunks of prompts in one step. Ends the filler.
  batch_plan fill();

  /// Only prompts, in the order and each whole, as long as the next fits; one that is longer than a step goes alone, in
  /// chunks. False, and nothing granted, when no prompt can go on.
  bool fill_with_whole_prompts();
  /// Only the next tokens of decoding streams.
  void fill_with_decoding();
  batch_plan take() { return std::move(plan_); }

 private:
  enum class may_preempt : bool { no, yes };
  enum class among : bool { chosen, others };

  void choose();
  void decode(among whom, may_preempt preempting);
  void compute_prompts(among whom);
  void add_guesses();

  std::uint32_t interleaved() const { return std::max(1u, limits_.interleaved_prefill_tokens); }
  bool full() const { return granted_.size() >= cap_; }
  std::uint32_t left(std::size_t i) const { return sequences_[i].n_known - sequences_[i].n_computed; }
  bool is_decoding(std::size_t i) const { return sequences_[i].admitted && left(i) == 1; }
  bool is_among(std::size_t i, among whom) const { return chosen_[i] == (whom == among::chosen); }

  std::uint64_t cost(std::size_t i, std::uint64_t n) const;
  std::uint32_t affordable(std::size_t i, std::uint64_t budget) const;
  std::uint32_t missing_blocks(std::size_t i, std::uint32_t n_tokens) const;
  std::uint32_t fitting(std::size_t i, std::uint32_t n) const;

  std::uint32_t grant(std::size_t i, std::uint32_t wanted, may_preempt preempting);
  bool has_place(std::size_t i);
  bool fits_whole(std::size_t i) const;
  std::uint32_t grant_prompt(std::size_t i, std::uint64_t budget);
  bool preempt_one_behind(std::size_t i);

  std::span<const batch_sequence> sequences_;
  const batch_limits& limits_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> keep_;
  std::vector<std::size_t> position_;  // in keep_, of each sequence
  displacing displacing_;
  std::size_t cap_;                   // sequences that the step may compute
  std::size_t last_;                  // nobody at or behind this position of keep_ can be preempted any more
  std::vector<bool> chosen_;          // by choose()
  std::vector<bool> out_;             // granted or preempted in this plan
  std::vector<std::size_t> granted_;  // the index of each grant's sequence
  std::uint32_t blocks_free_;
  std::uint32_t budget_;              // tokens left of the step
  std::uint64_t prefill_budget_ = 0;  // of them for prompts, in tokens at an empty context
  bool beside_streams_ = false;       // streams wait for the step's prompts
  bool admitting_ = true;  // nobody overtakes a waiting sequence that found no room, else a long prompt waits for ever
  std::uint32_t n_admitted_ = 0;
  batch_plan plan_;
};

}  // namespace troupe::policies
