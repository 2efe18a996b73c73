#include "runtime/tokenizer/vocabulary.hpp"

#include "base/utf8.hpp"
#include "runtime/tokenizer/byte_alphabet.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace troupe {
namespace {

constexpr const char* tokens_key = "tokenizer.ggml.tokens";
constexpr const char* kinds_key = "tokenizer.ggml.token_type";

result<> check_sizes(std::size_t n_texts, std::size_t n_kinds) {
  if (n_texts == 0)
    return make_error(errc::corrupt, "tokenizer.ggml.tokens is empty: a model needs a vocabulary.", tokens_key);
  if (n_texts > std::numeric_limits<token_id>::max()) {
    return make_error(errc::corrupt, "tokenizer.ggml.tokens has more entries than ids of 31 bits can number.",
                      tokens_key);
  }
  if (n_kinds != n_texts) {
    return make_error(errc::corrupt,
                      "tokenizer.ggml.token_type has " + std::to_string(n_kinds) + " entries for " +
                          std::to_string(n_texts) + " tokens; each token needs one.",
                      kinds_key);
  }
  return {};
}

/// The byte of "<0x0A>".
std::optional<char> named_byte(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  if (failure != std::errc() || end != text.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

void append_spaces(std::string& out, std::string_view text) {
  for (auto at = text.find(sentencepiece_space); at != std::string_view::npos; at = text.find(sentencepiece_space)) {
    out.append(text.substr(0, at)) += ' ';
    text.remove_prefix(at + sentencepiece_space.size());
  }
  out.append(text);
}

result<vocabulary> vocabulary::read(const gguf_strings& texts, std::span<const std::int32_t> kinds,
                                    token_spelling spelling) {
  if (auto sizes = check_sizes(texts.size(), kinds.size()); !sizes) return sizes.error();
  const auto n_of = [&](token_kind kind) {
    return static_cast<std::size_t>(std::ranges::count(kinds, static_cast<int>(kind)));
  };
  const std::size_t n_words = n_of(token_kind::normal);
  vocabulary v(spelling, n_words + n_of(token_kind::user_defined), texts.size() - n_words);
  v.starts_.reserve(texts.size() + 1);
  v.kinds_.reserve(texts.size());
  std::size_t n_bytes = 0;
  for (const auto text : texts)
    n_bytes += text.size();
  v.bytes_.reserve(n_bytes);  // an ordinary token's bytes are at most as long as its text
  std::string scratch;
  std::size_t i = 0;
  for (const auto text : texts) {
    if (kinds[i] < 1 || kinds[i] > 6) {
      return make_error(errc::corrupt,
                        "tokenizer.ggml.token_type[" + std::to_string(i) + "] is " + std::to_string(kinds[i]) +
                            "; the kinds of tokens are numbered 1 to 6.",
                        kinds_key);
    }
    if (auto appended = v.append(text, static_cast<token_kind>(kinds[i]), scratch); !appended) return appended.error();
    ++i;
  }
  if (auto indexed = v.index(); !indexed) return indexed.error();
  return v;
}

result<> vocabulary::append(std::string_view text, token_kind kind, std::string& scratch) {
  const auto entry = [&] { return "tokenizer.ggml.tokens[" + std::to_string(kinds_.size()) + "]"; };
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
    return make_error(errc::corrupt, entry() + " is longer than 4 GiB.", tokens_key);
  }
  if (text.empty() && kind != token_kind::unused) {
    return make_error(errc::corrupt, entry() + " is empty; only an unused token may be.", tokens_key);
  }
  scratch.clear();
  if (kind == token_kind::byte && spelling_ == token_spelling::sentencepiece) {
    const auto byte = named_byte(text);
    if (!byte)
      return make_error(errc::corrupt, entry() + ", " + quoted(text) + ", is of kind 6 and no byte such as \"<0x0A>\".",
                        tokens_key);
    scratch = *byte;
  } else if (kind != token_kind::normal) {
    scratch = text;
  } else if (spelling_ == token_spelling::sentencepiece) {
    append_spaces(scratch, text);
  } else if (!append_alphabet_bytes(scratch, text)) {
    return make_error(errc::corrupt,
                      entry() + ", " + quoted(text) +
                          ", has a character outside GPT-2's byte alphabet, in which ordinary tokens are written.",
                      tokens_key);
  }
  bytes_.insert(bytes_.end(), scratch.begin(), scratch.end());
  starts_.push_back(bytes_.size());
  kinds_.push_back(kind);
  return {};
}

bool vocabulary::is_found_as_word(token_id id) const {
  if (kind(id) == token_kind::normal) return true;
  return spelling_ == token_spelling::sentencepiece && kind(id) == token_kind::user_defined &&
         bytes(id).find(' ') == std::string_view::npos;
}

// Only now, because bytes_ no longer moves.
result<> vocabulary::index() {
  byte_tokens_.fill(no_token);
  const bool bytes_apart = spelling_ == token_spelling::sentencepiece;
  for (token_id id = 0; contains(id); ++id) {
    const auto text = bytes(id);
    if (text.empty()) continue;
    if (bytes_apart && kind(id) == token_kind::byte) {
      byte_tokens_[static_cast<std::uint8_t>(text[0])] = id;
      continue;
    }
    text_index& index = is_found_as_word(id) ? words_ : names_;
    if (!index.insert(text, id)) {
      const token_id earlier = *index.find(text);
      return make_error(errc::corrupt,
                        "tokenizer.ggml.tokens[" + std::to_string(id) + "], " + quoted(text) + ", repeats entry " +
                            std::to_string(earlier) + "; the text of a token must be its own.",
                        tokens_key);
    }
    if (!bytes_apart && kind(id) == token_kind::normal && text.size() == 1)
      byte_tokens_[static_cast<std::uint8_t>(text[0])] = id;
  }
  return {};
}

std::string quoted(std::string_view text) {
  constexpr std::size_t most_bytes = 64;
  const bool is_long = text.size() > most_bytes;
  std::string clean = repair_utf8(text.substr(0, most_bytes));
  std::ranges::replace_if(
      clean, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return '"' + clean + (is_long ? "…" : "") + '"';
}

}  // namespace troupe
