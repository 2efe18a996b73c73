// Draws the next token. A pure function of (logits, params, history, seed, output index): no state survives a draw but
// scratch.
//
// In this order, as vLLM does:
//   logit bias; repetition, frequency and presence penalties; suppressed tokens; temperature; min_p; top_k; top_p;
//   draw.
// Temperature 0 takes the largest after suppression, the lowest id among equals.
//
// Otherwise a candidate's weight is exp((logit - largest) / temperature), held as an integer of weight_bits binary
// digits: sums of integers do not depend on the order of summation, so neither does the token (rule 5). Candidates
// stand in descending order of logits, ascending ids among equals; min_p, top_k and top_p keep a beginning of that
// order, and the token is the one whose interval of the cumulative weight holds random_unit(seed, index) x sum. What
// rounds to no weight (below 2^-41 of the largest) is not drawn.
//
// Cost: the vocabulary is never sorted. One pass computes the weights, one spreads them over order-preserving buckets
// with a count and a sum each; each of top_k, top_p and the draw finds its bucket in the sums and sorts that bucket
// alone. 49,152 logits take about a tenth of a millisecond; the worst case, all logits in one bucket and none equal, a
// sort.
//
// Hostile logits: NaN counts as minus infinity, plus infinity as the largest float. With no number above minus infinity
// the token is 0. The id is inside the vocabulary whatever the logits are.
#pragma once

#include "base/generation.hpp"
#include "kernels/table.hpp"
#include "runtime/sampling/token_history.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// What changes from draw to draw of one sequence.
struct draw_context {
  std::uint64_t output_index = 0;          // position in the output, resumed tokens counted
  const token_history* history = nullptr;  // needed when has_penalties(params)
  std::span<const token_id> suppressed;    // may not be drawn: the end tokens while fewer than min_tokens are out
};

/// Whether a draw reads the history.
bool has_penalties(const sampling_params& params);

class sampler {
 public:
  static constexpr int weight_bits = 40;

  sampler(const kernels::table& table, std::uint32_t n_vocab);

  /// logits: (n_vocab). Ids outside the vocabulary in the bias, history or suppressed tokens are ignored. Does not
  /// allocate.
  token_id draw(std::span<const float> logits, const sampling_params& params, const draw_context& context);

 private:
  struct candidate {
    float logit;
    std::uint32_t id;
  };
  struct bucket {
    std::uint64_t weight = 0;
    std::uint32_t count = 0;
  };
  /// A beginning of the order of candidates.
  struct beginning {
    std::uint64_t weight = 0;
    std::uint32_t last = 0;  // id of its last candidate
  };

  std::span<const float> adjust(std::span<const float> logits, const sampling_params& params,
                                const draw_context& context);
  token_id draw_largest(std::span<const float> logits) const;
  token_id draw_weighted(std::span<const float> logits, const sampling_params& params, std::uint64_t output_index);
  void weigh(std::span<const float> logits, float largest, float smallest, const sampling_params& params);
  void sort_bucket(std::span<const float> logits, std::uint32_t which);
  std::uint64_t weight_of_first(std::span<const float> logits, std::uint32_t count);
  beginning shortest_reaching(std::span<const float> logits, std::uint64_t weight);

  const kernels::table& table_;
  std::uint32_t n_vocab_;
  std::vector<float> adjusted_;           // (n_vocab)
  std::vector<float> distances_;          // (n_vocab) (largest - logit) / temperature
  std::vector<std::uint64_t> weights_;    // (n_vocab)
  std::vector<std::uint16_t> bucket_of_;  // (n_vocab)
  std::vector<bucket> buckets_;
  std::vector<candidate> sorted_;  // the candidates of one bucket, in order
  std::uint64_t total_weight_ = 0;
};

}  // namespace troupe
