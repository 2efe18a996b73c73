// Draws the next token. A pure function of (logits, params, history, seed, output index): no state survives a draw but
// scratch.
//
// In this order, as vLLM does:
//   logit bias; repetition, frequency and presence penalties; suppressed and not allowed tokens; temperature; min_p;
//   top_k; top_p; draw.
// Temperature 0 takes the largest after suppression, the lowest id among equals.
//
// Otherwise candidates stand in descending order of logits, ascending ids among equals (candidate_order); min_p, top_k
// and top_p keep a beginning of that order, and the token is the one whose interval of the cumulative weight holds
// random_unit(seed, index) x sum (inverse transform sampling).
//
// Cost for 49,152 logits: greedy one pass of the table's argmax, else some 0.15 to 0.2 ms; the vocabulary is never
// sorted.
//
// Hostile logits: NaN counts as minus infinity, which is never drawn; plus infinity counts as the largest float. With
// nothing above minus infinity the token is 0. The id is inside the vocabulary whatever the logits are.
#pragma once

#include "base/generation.hpp"
#include "kernels/table.hpp"
#include "runtime/sampling/candidate_order.hpp"
#include "runtime/sampling/token_history.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// What changes from draw to draw of one sequence.
struct draw_context {
  std::uint64_t output_index = 0;             // position in the output, resumed tokens counted
  const token_history* history = nullptr;     // needed when has_penalties(params)
  std::span<const token_id> suppressed = {};  // may not be drawn: the end tokens while fewer than min_tokens are out
  std::span<const std::uint64_t> allowed =
      {};  // bit i of them: token i may be drawn; empty: any. What has no bit may not
};

/// Whether a draw reads the history.
bool has_penalties(const sampling_params& params);

class sampler {
 public:
  sampler(const kernels::table& table, std::uint32_t n_vocab);

  /// logits: (n_vocab). Ids outside the vocabulary in the bias, history or suppressed tokens are ignored. Does not
  /// allocate.
  token_id draw(std::span<const float> logits, const sampling_params& params, const draw_context& context);

 private:
  std::span<const float> adjust(std::span<const float> logits, const sampling_params& params,
                                const draw_context& context);
  token_id draw_largest(std::span<const float> logits) const;
  token_id draw_weighted(std::span<const float> logits, const sampling_params& params, std::uint64_t output_index);

  const kernels::table& table_;
  std::vector<float> adjusted_;  // (n_vocab)
  candidate_order order_;
};

}  // namespace troupe
