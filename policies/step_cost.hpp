// What a step of an engine takes, as a function of what it computes. The form and its constants for 13 billion
// parameters on an A100 are DistServe's (OSDI 2024), as their simulator has them:
//
//   prompts      base + per_token * sum(tokens) + per_token_squared * sum(tokens^2)
//   decoding     base + per_context * sum(context) + per_sequence * sequences     (other constants from large_batch on)
//   both         the larger base, and the other terms of both: a chunk of a prompt rides along with a decoding step
//
// A chunk of a prompt from position a to b counts b^2 - a^2, so that chunks add up to the whole.
// Pure. Fitted to measurements by step_cost_fit.hpp.
#pragma once

#include "base/clock.hpp"

#include <cstdint>

namespace troupe::policies {

/// What one step computes.
struct step_shape {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t prompt_tokens_squared = 0;  // sum over the chunks of (end^2 - begin^2)
  std::uint64_t context = 0;                // sum over the decoding sequences of the positions they attend to
  std::uint32_t decoding = 0;               // sequences

  /// A chunk of a prompt: positions [begin, end).
  void add_prompt(std::uint64_t begin, std::uint64_t end);
  /// A sequence that draws one token behind so many positions.
  void add_decoding(std::uint64_t positions);
};

struct prompt_cost {
  double base_ms = 0;
  double per_token_ms = 0;
  double per_token_squared_ms = 0;
};

struct decoding_cost {
  double base_ms = 0;
  double per_context_ms = 0;
  double per_sequence_ms = 0;
};

struct step_cost {
  prompt_cost prompt{};
  decoding_cost decoding{};
  decoding_cost large{};          // of steps with at least large_batch sequences
  std::uint32_t large_batch = 0;  // 0: none is large

  /// Zero for an empty step. The same number twice: simulations add up millions of them and want no rounding.
  duration time(const step_shape& shape) const;
  double time_ms(const step_shape& shape) const;
};

}  // namespace troupe::policies
