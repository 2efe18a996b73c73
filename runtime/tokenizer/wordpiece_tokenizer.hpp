// WordPiece, as BERT's uncased models have it: words between spaces, punctuation and ideographs, each taken apart into
// the longest pieces of the vocabulary from left to right. "embeddings" is "em", "##bed", "##ding", "##s". Schuster and
// Nakajima, 2012; Wu et al., 2016; Devlin et al., "BERT", 2018.
//
// A text is only text: the names of control tokens in it ("[SEP]") are words like others.
//
// Cost: linear in the text until the limit of tokens is reached; nothing is read after that.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe {

class wordpiece_tokenizer {
 public:
  /// vocabulary: one token a line, the line's number is its id; pieces inside a word begin with "##". Errors: corrupt,
  /// for a vocabulary without [UNK], [CLS] or [SEP] or one that repeats a token.
  static result<std::unique_ptr<wordpiece_tokenizer>> from_text(std::string vocabulary);
  /// The same from a file (vocab.txt).
  static result<std::unique_ptr<wordpiece_tokenizer>> load(const std::filesystem::path& file);

  /// [CLS] text [SEP], or the first max_tokens + 1 tokens of it: more than max_tokens says that it was too long.
  std::vector<token_id> encode(std::string_view text, std::size_t max_tokens) const;

  std::uint32_t vocabulary_size() const { return n_tokens_; }
  token_id unknown() const { return unknown_; }
  token_id cls() const { return cls_; }
  token_id sep() const { return sep_; }

 private:
  using piece_map = std::unordered_map<std::string_view, token_id>;

  wordpiece_tokenizer() = default;
  result<> read_vocabulary();
  void append_word(std::string_view word, std::size_t n_characters, std::vector<token_id>& tokens) const;

  std::string text_;  // what the pieces' views point into
  piece_map first_;   // pieces that begin a word
  piece_map inside_;  // pieces after the first, without "##"
  std::size_t longest_bytes_ = 0;
  std::uint32_t n_tokens_ = 0;
  token_id unknown_ = 0, cls_ = 0, sep_ = 0;
};

}  // namespace troupe
