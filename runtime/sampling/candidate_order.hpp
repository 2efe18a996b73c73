// The candidates of one draw, as if they were sorted: descending logits, ascending ids among equals. The vocabulary is
// never sorted: logits fall into buckets that keep the order, each with a count and a sum of weights; a question finds
// its bucket in the sums and sorts that bucket alone.
//
// A candidate's weight is exp((logit - largest) / temperature) in units of 2^-weight_bits. Sums of integers do not
// depend on the order of summation, so answers are exact and do not depend on the buckets (rule 5). A token whose
// weight rounds to 0 is no candidate.
//
// Cost for 49,152 logits: assign() some 130 us, a question some 20 us. Worst case, some 5 ms: all in one bucket and
// unequal, a sort.
#pragma once

#include "base/ids.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace troupe {

class candidate_order {
 public:
  static constexpr int weight_bits = 40;  // 2^24 tokens of full weight still fit 64 bits

  struct beginning {
    std::uint64_t weight = 0;  // of all its candidates
    token_id last = 0;
  };

  explicit candidate_order(std::uint32_t n_vocab);

  /// logits: (n_vocab), read until the last question. NaN counts as minus infinity, plus infinity as the largest float.
  /// Tokens lighter than min_weight of the largest are no candidates. False: no logit is above minus infinity.
  bool assign(std::span<const float> logits, float temperature, float min_weight);

  std::uint64_t total_weight() const { return total_weight_; }
  /// Of the first `count` candidates, or of all.
  std::uint64_t weight_of_first(std::uint64_t count);
  /// The shortest beginning whose weight reaches `weight`, which is in [1, total_weight()].
  beginning shortest_reaching(std::uint64_t weight);

 private:
  struct candidate {
    float logit;
    std::uint32_t id;
  };

  void weigh(float largest, float range, float temperature, float min_weight);
  void sum_buckets();
  void count_buckets();
  std::span<const candidate> sorted(std::uint32_t which);
  std::uint64_t weight_of(std::uint32_t id) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(weights_[id]));
  }

  std::span<const float> logits_;
  std::vector<float> weights_;           // (n_vocab, rounded up) in units; their integer part counts
  std::vector<std::int32_t> bucket_of_;  // (n_vocab, rounded up)
  std::vector<std::uint64_t> bucket_weight_;
  std::vector<std::uint64_t> bucket_count_;  // filled by the first question that counts
  bool counted_ = false;
  std::vector<candidate> sorted_;  // of the bucket sorted last
  std::size_t n_sorted_ = 0;
  std::optional<std::uint32_t> which_sorted_;
  std::uint64_t total_weight_ = 0;
};

}  // namespace troupe
