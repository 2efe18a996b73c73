// Predictors that only a simulation can have: they know how long answers will be, exactly or with an error of a chosen
// size. What a policy would be worth with a perfect predictor, and how much of that a poor one costs.
#pragma once

#include "policies/length_prediction.hpp"

#include <cstdint>
#include <functional>

namespace troupe::simulator {

/// The true length of each answer times a lognormal error, the same for a request's whole life; a prediction is the
/// quantile of what that leaves possible, given the tokens drawn so far.
class length_oracle final : public policies::length_predictor {
 public:
  /// sigma: of the logarithm of the error; 0: exact.
  length_oracle(std::function<std::uint32_t(request_id)> true_length, double sigma, std::uint64_t seed)
      : true_length_(std::move(true_length)), sigma_(sigma), seed_(seed) {}

  double predict_left(const policies::length_features& of, std::uint32_t n_drawn, double quantile) const override;
  void learn(const policies::length_features&, std::uint32_t) override {}

 private:
  double error_of(request_id request) const;

  std::function<std::uint32_t(request_id)> true_length_;
  double sigma_;
  std::uint64_t seed_;
};

}  // namespace troupe::simulator
