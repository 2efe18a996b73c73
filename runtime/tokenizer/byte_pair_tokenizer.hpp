// The tokenizer of a byte-level BPE vocabulary: special tokens, then words, then merges. Immutable once read, so any
// number of threads may use it.
//
// Most words of ordinary text are one token. For every token it is found out once, when the vocabulary is read, whether
// its bytes merge into it (not every token can be reached that way), and such a word costs one hash look-up.
#pragma once

#include "base/result.hpp"
#include "runtime/tokenizer/merge_table.hpp"
#include "runtime/tokenizer/special_token_finder.hpp"
#include "runtime/tokenizer/tokenizer.hpp"
#include "runtime/tokenizer/vocabulary.hpp"
#include "runtime/tokenizer/word_merger.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class byte_pair_tokenizer final : public tokenizer {
 public:
  /// The ids of the model's special tokens, each in the vocabulary.
  struct roles {
    std::optional<token_id> bos;
    std::optional<token_id> eos;
    std::vector<token_id> ends;  // besides eos
    bool adds_bos = false;
  };

  byte_pair_tokenizer(vocabulary words, merge_table merges, roles special);

  std::vector<token_id> encode(std::string_view text, special_tokens mode) const override;
  std::optional<token_place> find_control(std::string_view text) const override { return controls_.find_first(text); }
  std::string_view token_bytes(token_id id) const override;
  std::string decode(const std::vector<token_id>& ids, bool keep_special) const override;

  std::uint32_t vocabulary_size() const override { return words_.size(); }
  bool is_control(token_id id) const override;
  bool is_end(token_id id) const override;
  std::optional<token_id> bos() const override { return roles_.bos; }
  std::optional<token_id> eos() const override { return roles_.eos; }
  bool adds_bos() const override { return roles_.adds_bos; }
  std::optional<token_id> find(std::string_view token) const override;

 private:
  enum class reach : std::uint8_t { unknown, whole, parts };  // what a token's bytes merge into: itself, or others

  void encode_words(std::string_view text, word_merger& merger, std::vector<token_id>& out) const;

  vocabulary words_;
  merge_table merges_;
  roles roles_;
  special_token_finder controls_;
  special_token_finder user_defined_;
  special_token_finder specials_;  // both: the leftmost of either wins
  // (vocabulary_size()). Written by whoever finds out; all find the same, so the order of memory does not matter.
  mutable std::vector<std::atomic<reach>> reaches_;
  std::size_t longest_word_ = 0;  // bytes of the longest ordinary token
};

}  // namespace troupe
