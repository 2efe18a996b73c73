// The tokens of a vocabulary: their bytes, their kinds, and the way back from bytes to ids. Read from
// tokenizer.ggml.tokens and tokenizer.ggml.token_type, where ordinary tokens are written in GPT-2's byte alphabet or in
// SentencePiece's way and all others (control, user-defined, unused) as they are.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "runtime/gguf/gguf_strings.hpp"
#include "runtime/tokenizer/text_index.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// The numbers are those of tokenizer.ggml.token_type.
enum class token_kind : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// How a file writes ordinary tokens.
enum class token_spelling : std::uint8_t {
  byte_alphabet,  // a character for each byte (byte_alphabet.hpp)
  sentencepiece   // as they are, but U+2581 for a space; and "<0x0A>" for tokens of one byte, which have their own kind
};

class vocabulary {
 public:
  static constexpr token_id no_token = -1;

  /// Errors name the token at fault.
  static result<vocabulary> read(const gguf_strings& texts, std::span<const std::int32_t> kinds,
                                 token_spelling spelling = token_spelling::byte_alphabet);

  vocabulary(vocabulary&&) = default;  // the bytes stay where the indexes point to; in a copy they would not
  vocabulary& operator=(vocabulary&&) = default;

  std::uint32_t size() const { return static_cast<std::uint32_t>(kinds_.size()); }
  bool contains(token_id id) const { return id >= 0 && static_cast<std::size_t>(id) < kinds_.size(); }
  token_kind kind(token_id id) const { return kinds_[static_cast<std::size_t>(id)]; }
  std::string_view bytes(token_id id) const {
    const auto i = static_cast<std::size_t>(id);
    return {bytes_.data() + starts_[i], starts_[i + 1] - starts_[i]};
  }

  /// The token of one byte; no_token where the vocabulary has none (SmolLM2's lacks 21 of the 256).
  token_id byte_token(std::uint8_t byte) const { return byte_tokens_[byte]; }
  /// Whether this id is an ordinary token that stands for these bytes.
  bool is_word(token_id id, std::string_view word) const {
    return contains(id) && kind(id) == token_kind::normal && bytes(id) == word;
  }
  /// Among ordinary tokens, by the bytes they stand for. In SentencePiece's spelling user-defined ones that hold no
  /// space are among them, as text may merge into those.
  std::optional<token_id> find_word(std::string_view word) const { return words_.find(word); }
  /// Among all others, by their text.
  std::optional<token_id> find_name(std::string_view name) const { return names_.find(name); }

 private:
  vocabulary(token_spelling spelling, std::size_t n_words, std::size_t n_names)
      : spelling_(spelling), words_(n_words), names_(n_names) {}
  result<> append(std::string_view text, token_kind kind, std::string& scratch);
  result<> index();
  bool is_found_as_word(token_id id) const;

  token_spelling spelling_;
  std::vector<char> bytes_;             // of all tokens, one after another; the indexes point into it
  std::vector<std::size_t> starts_{0};  // (size() + 1)
  std::vector<token_kind> kinds_;       // (size())
  text_index words_;
  text_index names_;
  std::array<token_id, 256> byte_tokens_{};
};

inline constexpr std::string_view sentencepiece_space = "\u2581";
/// Appends the text with a space for each U+2581.
void append_spaces(std::string& out, std::string_view text);

/// For error messages: the text in quotes, cut to a readable length and with everything unprintable replaced.
std::string quoted(std::string_view text);

}  // namespace troupe
