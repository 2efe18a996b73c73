// Guesses what comes next from what was said before: the longest of the last three or two tokens that stood in this
// sequence already was followed by something, and that is the guess (Saxena, "Prompt Lookup Decoding", 2023; Yang et
// al., "Inference with Reference", 2023). Answers that quote their prompt - edits, summaries, code, plans - are guessed
// well; others are not, and cost a look-up in a hash a token.
//
// Memory: 16 bytes a token. No allocation after reserve().
#pragma once

#include "base/ids.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

class prompt_lookup {
 public:
  /// Room for a sequence of n_tokens.
  void reserve(std::size_t n_tokens);

  /// `tokens` is the whole sequence; what follows the part that was seen before is taken in.
  void update(std::span<const token_id> tokens);

  /// At most `most` tokens that may follow the sequence given to update(): a part of it. Empty when nothing like its
  /// end stood there before.
  std::span<const token_id> guess(std::span<const token_id> tokens, std::size_t most) const;

 private:
  static constexpr std::array<std::size_t, 2> lengths = {3, 2};  // of n-grams; the first goes first

  // For each length where an n-gram last ended, by its hash; a power of two, 0: free. Of two with the same hash the
  // later one stays.
  std::array<std::vector<std::uint32_t>, lengths.size()> ends_;
  std::size_t n_seen_ = 0;  // n-grams that end before this token are in the tables
};

}  // namespace troupe
