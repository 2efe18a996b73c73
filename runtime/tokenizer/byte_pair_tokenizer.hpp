// The tokenizer of a byte-level BPE vocabulary: special tokens, then words, then merges. Immutable once read, so any
// number of threads may use it.
//
// Most words of ordinary text are one token. For every token it is found out once, when the vocabulary is read, whether
// its bytes merge into it (not every token can be reached that way), and such a word costs one hash look-up.
#pragma once

#include "runtime/tokenizer/merge_table.hpp"
#include "runtime/tokenizer/vocabulary_tokenizer.hpp"
#include "runtime/tokenizer/word_merger.hpp"
#include "runtime/tokenizer/word_splitter.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe {

class byte_pair_tokenizer final : public vocabulary_tokenizer {
 public:
  byte_pair_tokenizer(vocabulary words, merge_table merges, token_roles roles, word_pattern pattern);

  std::vector<token_id> encode(std::string_view text, special_tokens mode) const override;

 private:
  enum class reach : std::uint8_t { unknown, whole, parts };  // what a token's bytes merge into: itself, or others

  void encode_words(std::string_view text, word_merger& merger, std::vector<token_id>& out) const;

  merge_table merges_;
  word_pattern pattern_;
  // (vocabulary_size()). Written by whoever finds out; all find the same, so the order of memory does not matter.
  mutable std::vector<std::atomic<reach>> reaches_;
  std::size_t longest_word_ = 0;  // bytes of the longest ordinary token
};

}  // namespace troupe
