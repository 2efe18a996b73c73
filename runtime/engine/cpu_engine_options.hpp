// What can be chosen about an engine on the processor's own cores. Zeros and empty strings mean "the natural value".
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe {

struct cpu_engine_options {
  std::string isa;              // kernel table by name; empty: the fastest this processor can run
  std::uint32_t n_threads = 0;  // 0: one for each processor this process may use
  kernels::kv_type kv = kernels::kv_type::f16;
  std::size_t kv_bytes = std::size_t{512} << 20;  // budget for K and V; less is taken where less can be used
  std::uint32_t max_context = 0;                  // tokens of a sequence; 0: the model's, as far as kv_bytes allows
  std::uint32_t max_sequences = 64;               // admitted at once, at most max_engine_sequences
  std::uint32_t max_batched_tokens = 512;         // of one step, at most max_engine_batched_tokens
  bool prefix_caching = true;
  std::uint32_t max_guesses = 8;  // tokens guessed ahead by prompt lookup, at most max_engine_guesses; 0: none
};

inline constexpr std::uint32_t max_engine_sequences = 1'024;
inline constexpr std::uint32_t max_engine_batched_tokens = 8'192;
inline constexpr std::uint32_t max_engine_guesses = 32;
/// kv_transfer::hold: at once, of all sequences.
inline constexpr std::uint32_t max_engine_holds = 4'096;
/// Alternatives a client may ask for beside each token.
inline constexpr std::int32_t max_engine_logprobs = 100;

}  // namespace troupe
