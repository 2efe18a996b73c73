// The hyperparameters of a sentence encoder, as the folder of a sentence-transformers model tells them:
//   config.json                the encoder (of architecture "bert", with learned positions and the exact GELU)
//   sentence_bert_config.json  how much of a text it was made to read; may be absent
//   1_Pooling/config.json      how its rows become one vector (their mean); may be absent
//   tokenizer_config.json      how letters are treated (lower case); may be absent
// What they ask for beyond that is refused with the key.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>

namespace troupe {

struct bert_config {
  std::uint32_t n_layers = 0;
  std::uint32_t n_embd = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_ff = 0;
  std::uint32_t n_vocab = 0;
  std::uint32_t n_positions = 0;  // that have an embedding
  std::uint32_t n_types = 0;      // of segments; a text is of the first
  std::uint32_t max_tokens = 0;   // of a text, those that the tokenizer adds among them
  float norm_epsilon = 0;

  std::uint32_t head_dim() const { return n_embd / n_heads; }
};

/// Errors: corrupt or unsupported, naming file, key and what would be right; not_found without config.json.
result<bert_config> read_bert_config(const std::filesystem::path& folder);

}  // namespace troupe
