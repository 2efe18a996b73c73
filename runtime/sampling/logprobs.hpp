// Logprobs as clients see them: the log-softmax of the model's own logits, before bias, penalties and temperature.
#pragma once

#include "base/generation.hpp"
#include "kernels/table.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// What minus infinity and NaN become, since JSON has neither. vLLM's number.
inline constexpr float lowest_logprob = -9999.0f;

struct token_logprobs {
  float chosen = 0.0f;
  std::vector<token_logprob> top;  // descending; the lowest id first among equals
};

/// logits: (n_vocab). n_top alternatives, at most n_vocab; 0 or less: none. Two passes, and O(n_top) for each logit
/// that enters.
token_logprobs compute_logprobs(const kernels::table& table, std::span<const float> logits, token_id chosen,
                                std::int32_t n_top);

}  // namespace troupe
