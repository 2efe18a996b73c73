// Cosine and sine of every position's rotary angles (Su et al., RoFormer, 2021), computed once in double precision: a
// step then only reads them, and a position turns alike in every step.
#pragma once

#include "runtime/model/model_config.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

class rope_table {
 public:
  /// rope: of the model's layers that use this table. factors: empty, or (rope_dims / 2) by which each pair's frequency
  /// is divided (rope_freqs.weight of Llama 3).
  rope_table(const model_config& config, const rope_config& rope, std::span<const float> factors,
             std::uint32_t n_positions);

  /// (head_dim / 2, 2). Pairs past rope_dims have angle 0 and stay as they are.
  const float* at(std::uint32_t position) const { return values_.data() + std::size_t{position} * stride_; }
  std::uint32_t n_positions() const { return static_cast<std::uint32_t>(values_.size() / stride_); }

 private:
  std::size_t stride_;
  std::vector<float> values_;  // (n_positions, head_dim / 2, 2)
};

}  // namespace troupe
