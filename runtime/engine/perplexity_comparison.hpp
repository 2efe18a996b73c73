// Two models over one text, position by position: how far the distributions of the one are from those of the other.
#pragma once

#include "kernels/types.hpp"
#include "runtime/engine/golden.hpp"
#include "runtime/model/decoder_model.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace troupe {

class perplexity_comparison {
 public:
  /// Both models must outlive it. The exact one computes with K and V in floats, the tested one with them in kv.
  perplexity_comparison(decoder_model& tested, decoder_model& exact, kernels::kv_type kv);

  /// Scores every token of the window but the first, from an empty cache.
  void add_window(std::span<const token_id> tokens);

  /// The exact model's loss at each scored token, in nats.
  std::vector<double> exact_losses() const;

  /// exact_nll: what the tested model's losses are held against, for the same tokens.
  void summarise(std::span<const double> exact_nll, std::vector<golden_check>& checks) const;

 private:
  struct score {
    double exact_nll = 0.0;
    double tested_nll = 0.0;
    double kl = 0.0;  // of the tested distribution from the exact one, in nats
    bool same_best = false;
  };

  decoder_model& tested_;
  decoder_model& exact_;
  kernels::kv_type kv_;
  std::vector<score> scores_;
};

}  // namespace troupe
