// A sentence encoder from its folder: tokenizer and encoder together.
#pragma once

#include "base/embedding_service.hpp"
#include "base/result.hpp"
#include "runtime/embedding/bert_encoder.hpp"
#include "runtime/tokenizer/wordpiece_tokenizer.hpp"

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace troupe {

class sentence_embedder {
 public:
  /// A folder with model.safetensors, vocab.txt and what read_bert_config reads. rows_per_pass: tokens computed
  /// together; as many as a text may have if that is more. The pool must outlive the embedder.
  /// Errors say which file is wrong and how.
  static result<std::unique_ptr<sentence_embedder>> load(const std::filesystem::path& folder,
                                                         const kernels::table& table, thread_pool& pool,
                                                         std::uint32_t rows_per_pass = 256);

  /// What the encoder reads of an input, at most max_tokens(). `name` ("input[3]") is for the error:
  /// invalid_argument, an empty input or a token that is none of the vocabulary's; context_length_exceeded.
  result<std::vector<token_id>> tokens_of(const embedding_input& input, const std::string& name) const;

  std::uint32_t dimensions() const { return encoder_->config().n_embd; }
  std::uint32_t max_tokens() const { return encoder_->config().max_tokens; }
  std::uint32_t vocabulary_size() const { return encoder_->config().n_vocab; }
  bert_encoder& encoder() { return *encoder_; }
  const wordpiece_tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  sentence_embedder() = default;

  std::unique_ptr<wordpiece_tokenizer> tokenizer_;
  std::unique_ptr<bert_encoder> encoder_;
};

}  // namespace troupe
