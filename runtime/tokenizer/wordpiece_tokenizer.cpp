#include "runtime/tokenizer/wordpiece_tokenizer.hpp"

#include "base/utf8.hpp"
#include "runtime/gguf/mapped_file.hpp"
#include "runtime/tokenizer/wordpiece_characters.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe {
namespace {

constexpr std::size_t max_vocabulary_bytes = std::size_t{64} << 20;
// A longer word is unknown as a whole, as in BERT's own tokenizer.
constexpr std::size_t max_word_characters = 100;

constexpr std::string_view inside_mark = "##";

error corrupt_vocabulary(std::string what) {
  return make_error(errc::corrupt, "The vocabulary " + std::move(what) + ".");
}

bool is_character_start(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

}  // namespace

result<std::unique_ptr<wordpiece_tokenizer>> wordpiece_tokenizer::from_text(std::string vocabulary) {
  if (vocabulary.size() > max_vocabulary_bytes)
    return make_error(errc::too_large, "The vocabulary has " + std::to_string(vocabulary.size()) + " bytes; at most " +
                                           std::to_string(max_vocabulary_bytes) + " are read.");
  std::unique_ptr<wordpiece_tokenizer> made(new wordpiece_tokenizer);
  made->text_ = std::move(vocabulary);
  if (const auto read = made->read_vocabulary(); !read) return read.error();
  return made;
}

result<std::unique_ptr<wordpiece_tokenizer>> wordpiece_tokenizer::load(const std::filesystem::path& file) {
  const auto mapped = mapped_file::open(file);
  if (!mapped) return mapped.error();
  const auto bytes = mapped->bytes();
  auto made = from_text(
      std::string(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), max_vocabulary_bytes + 1)));
  if (made) return made;
  error failure = made.error();
  failure.message = file.string() + ": " + failure.message;
  return failure;
}

result<> wordpiece_tokenizer::read_vocabulary() {
  std::string_view left = text_;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    std::string_view token = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    if (token.ends_with('\r')) token.remove_suffix(1);
    const auto id = static_cast<token_id>(n_tokens_++);
    const bool inside = token.size() > inside_mark.size() && token.starts_with(inside_mark);
    if (inside) token.remove_prefix(inside_mark.size());
    if (!(inside ? inside_ : first_).emplace(token, id).second)
      return corrupt_vocabulary("has the token of line " + std::to_string(n_tokens_) + " twice");
    longest_bytes_ = std::max(longest_bytes_, token.size());
  }
  for (const auto& [name, id] : {std::pair{"[UNK]", &unknown_}, {"[CLS]", &cls_}, {"[SEP]", &sep_}}) {
    const auto found = first_.find(name);
    if (found == first_.end()) return corrupt_vocabulary("lacks the token " + std::string(name));
    *id = found->second;
  }
  return {};
}

void wordpiece_tokenizer::append_word(std::string_view word, std::size_t n_characters,
                                      std::vector<token_id>& tokens) const {
  if (word.empty()) return;
  const std::size_t n_before = tokens.size();
  if (n_characters > max_word_characters) {
    tokens.push_back(unknown_);
    return;
  }
  for (bool begins = true; !word.empty(); begins = false) {
    const piece_map& pieces = begins ? first_ : inside_;
    std::size_t length = std::min(word.size(), longest_bytes_);
    auto found = pieces.end();
    for (; length > 0; --length) {
      if (length < word.size() && !is_character_start(word[length])) continue;
      found = pieces.find(word.substr(0, length));
      if (found != pieces.end()) break;
    }
    if (length == 0) {  // one part unknown, all of it unknown
      tokens.resize(n_before);
      tokens.push_back(unknown_);
      return;
    }
    tokens.push_back(found->second);
    word.remove_prefix(length);
  }
}

std::vector<token_id> wordpiece_tokenizer::encode(std::string_view text, std::size_t max_tokens) const {
  using wordpiece::character_kind;
  std::vector<token_id> tokens{cls_};
  std::string word;
  std::size_t n_characters = 0;
  const auto end_word = [&] {
    append_word(word, n_characters, tokens);
    word.clear();
    n_characters = 0;
  };
  const auto append = [&](char32_t c) {
    // Of a word that is too long, the length is enough.
    if (++n_characters <= max_word_characters) append_utf8(word, c);
  };
  while (!text.empty() && tokens.size() <= max_tokens) {
    const auto [code_point, length, valid] = decode_utf8(text);
    text.remove_prefix(length);
    const character_kind kind = wordpiece::kind_of(code_point);
    if (!valid || kind == character_kind::dropped) continue;
    if (kind == character_kind::space) {
      end_word();
      continue;
    }
    const bool alone = wordpiece::is_ideograph(code_point);
    if (alone) end_word();
    for (const char32_t c : wordpiece::fold(code_point)) {
      if (c == 0) break;
      const bool is_punctuation = wordpiece::kind_of(c) == character_kind::punctuation;
      if (is_punctuation) end_word();
      append(c);
      if (is_punctuation) end_word();
    }
    if (alone) end_word();
  }
  end_word();
  tokens.push_back(sep_);
  if (tokens.size() > max_tokens) tokens.resize(max_tokens + 1, sep_);
  return tokens;
}

}  // namespace troupe
