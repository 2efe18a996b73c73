// Text to token ids and back, read from a GGUF file by tokenizer.ggml.model:
//   "gpt2"   byte-level BPE as GPT-2 introduced it (Radford et al., 2019), with the pre-tokenizer "smollm" (digits one
//   by
//            one, then GPT-2's pattern). Ids equal those of Hugging Face's tokenizers.
//   "llama"  SentencePiece with scores, as Gemma and Llama 2 have it. Ids equal llama.cpp's.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class gguf_file;

/// What the names of control tokens in a text are. User-defined tokens (such as "<think>" of some models) are tokens
/// either way.
enum class special_tokens : std::uint8_t {
  as_text,  // "<|im_start|>" is twelve characters of text
  parse     // it is the token
};

/// Where a token's text lies in another text.
struct token_place {
  std::size_t position;
  std::size_t length;
  token_id token;
};

class tokenizer {
 public:
  static result<std::shared_ptr<const tokenizer>> from_gguf(const gguf_file& file);
  virtual ~tokenizer() = default;

  /// Bytes that are not UTF-8 are encoded as they are. A byte that the vocabulary has no token for is left out, as by
  /// Hugging Face's tokenizers; SmolLM2 lacks 21: six control characters, and bytes of no assigned character.
  /// Thread-safe; time O(n log n) for n bytes, whatever they are; at most one token a byte. A single word must be
  /// shorter than 4 GiB.
  virtual std::vector<token_id> encode(std::string_view text, special_tokens mode) const = 0;
  /// The same behind bos, where texts of this model begin with it: what to feed to the model.
  std::vector<token_id> encode_prompt(std::string_view text, special_tokens mode) const;
  /// The leftmost name of a control token; of those that begin there, the longest.
  virtual std::optional<token_place> find_control(std::string_view text) const = 0;
  /// The bytes of one token; control tokens give their name. Empty for an id outside the vocabulary.
  virtual std::string_view token_bytes(token_id id) const = 0;
  /// Concatenated bytes, control tokens left out unless asked for. Not necessarily UTF-8.
  virtual std::string decode(const std::vector<token_id>& ids, bool keep_special) const = 0;

  virtual std::uint32_t vocabulary_size() const = 0;
  virtual bool is_control(token_id id) const = 0;
  virtual bool is_end(token_id id) const = 0;  // eos, eot, <|im_end|>: the model's own ends
  virtual std::optional<token_id> bos() const = 0;
  virtual std::optional<token_id> eos() const = 0;
  virtual bool adds_bos() const = 0;                                       // tokenizer.ggml.add_bos_token
  virtual std::optional<token_id> find(std::string_view token) const = 0;  // by its exact text, special ones included
};

}  // namespace troupe
