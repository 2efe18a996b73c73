// How often each token occurred in one sequence: what the penalties read. A small open-addressing table over the
// distinct tokens, so a sequence costs 12 to 24 bytes a distinct token and not the vocabulary.
#pragma once

#include "base/ids.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

class token_history {
 public:
  struct occurrences {
    token_id token = 0;
    std::uint32_t in_output = 0;  // 0: in the prompt only
  };

  /// Room for this many tokens without allocating later.
  void reserve(std::size_t n_tokens);
  void add_prompt(std::span<const token_id> tokens);
  void add_output(token_id token);  // resumed tokens are output too
  void clear();

  /// Each distinct token once, in the order of first occurrence.
  std::span<const occurrences> distinct() const { return distinct_; }

 private:
  occurrences& find_or_add(token_id token);
  void rebuild(std::size_t n_slots);

  std::vector<occurrences> distinct_;
  std::vector<std::uint32_t> slots_;  // 1 + position in distinct_, 0: empty; a power of two, at most half full
};

}  // namespace troupe
