// The tokenizer of a SentencePiece vocabulary with scores (Kudo and Richardson, 2018), as Gemma and Llama 2 have it: a
// text begins as its characters, and as long as two neighbours make up a token, the pair of the highest score (the
// leftmost of equals) does. A character that is no token comes out as its bytes. Immutable once read, so any number of
// threads may use it.
//
// Ids equal llama.cpp's but for one thing: text never merges into a control token.
#pragma once

#include "runtime/tokenizer/vocabulary_tokenizer.hpp"

#include <string_view>
#include <vector>

namespace troupe {

class sentencepiece_tokenizer final : public vocabulary_tokenizer {
 public:
  /// scores: (words.size()). adds_space: a text that stands at the beginning or behind a special token gets a space in
  /// front.
  sentencepiece_tokenizer(vocabulary words, std::vector<float> scores, token_roles roles, bool adds_space);

  std::vector<token_id> encode(std::string_view text, special_tokens mode) const override;

 private:
  std::vector<float> scores_;
  bool adds_space_;
};

}  // namespace troupe
