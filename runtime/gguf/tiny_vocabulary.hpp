// A byte-level BPE vocabulary of a few hundred tokens in GPT-2's format, made by rule instead of training: every byte,
// then pairs that are common in English, then pairs of letters until it is full.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::gguf {

struct tiny_vocabulary {
  std::vector<std::string> tokens;        // token texts by id, in GPT-2's spelling of bytes
  std::vector<std::int32_t> token_types;  // 1 normal, 3 control
  std::vector<std::string> merges;        // "left right", best first
};

/// A vocabulary of exactly `size` tokens, min_tiny_vocab to max_tiny_vocab (runtime/gguf/tiny_model.hpp).
tiny_vocabulary make_tiny_vocabulary(std::uint32_t size);

}  // namespace troupe::gguf
