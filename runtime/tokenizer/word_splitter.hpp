// The pre-tokenizer "smollm": cuts text into the words that byte-pair merges never cross. Hugging Face writes it as
// Sequence[Digits(individual_digits), ByteLevel(use_regex)], llama.cpp as two patterns after each other:
//
//   1. every number character \p{N} is a word of its own;
//   2. what lies between them is matched by GPT-2's pattern
//      's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// The second pattern never sees across a number, so white space before one stays whole ("a  7" is "a", "  ", "7"),
// while before a word the last blank goes with the word ("a  b" is "a", " ", " b"). Written by hand instead of as a
// regular expression, it takes one pass and a constant number of bytes of memory. Bytes that are not UTF-8 count as
// "other".
//
// And "qwen2", which is one pattern:
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// Numbers stand alone here too, but the other parts see them; a word takes any one sign in front of it along, not only
// a blank; line breaks stay with the signs before them, and white space ends with its last line break.
#pragma once

#include "runtime/tokenizer/unicode_classes.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe {

enum class word_pattern : std::uint8_t { smollm, qwen2 };

class word_splitter {
 public:
  explicit word_splitter(std::string_view text, word_pattern pattern = word_pattern::smollm)
      : rest_(text), pattern_(pattern) {}

  /// The next word; empty at the end. All words one after another are the text.
  std::string_view next();

 private:
  struct character {
    character_class kind;
    std::size_t length;  // bytes; 0 at the end of the text
  };
  character at(std::size_t position) const;
  std::size_t run_end(std::size_t from, character_class kind) const;
  std::size_t line_breaks_end(std::size_t from) const;
  std::size_t space_word_end(std::size_t first_length) const;
  std::size_t smollm_word_end() const;
  std::size_t qwen2_word_end() const;

  std::string_view rest_;
  word_pattern pattern_;
};

}  // namespace troupe
