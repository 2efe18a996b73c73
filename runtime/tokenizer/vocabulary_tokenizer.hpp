// What all tokenizers do alike, since it only takes the vocabulary: ids to bytes, and special tokens.
#pragma once

#include "runtime/tokenizer/special_token_finder.hpp"
#include "runtime/tokenizer/tokenizer.hpp"
#include "runtime/tokenizer/vocabulary.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// The ids of the model's special tokens, each in the vocabulary.
struct token_roles {
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  std::vector<token_id> ends;  // besides eos
  bool adds_bos = false;
};

class vocabulary_tokenizer : public tokenizer {
 public:
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

 protected:
  vocabulary_tokenizer(vocabulary words, token_roles roles);

  const vocabulary& words() const { return words_; }
  /// The special tokens that a text may name.
  const special_token_finder& names_for(special_tokens mode) const {
    return mode == special_tokens::parse ? specials_ : user_defined_;
  }

 private:
  vocabulary words_;
  token_roles roles_;
  special_token_finder controls_;
  special_token_finder user_defined_;
  special_token_finder specials_;  // both: the leftmost of either wins
};

}  // namespace troupe
