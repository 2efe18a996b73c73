#include "runtime/tokenizer/byte_pair_tokenizer.hpp"

#include "runtime/tokenizer/word_splitter.hpp"

#include <algorithm>

namespace troupe {

byte_pair_tokenizer::byte_pair_tokenizer(vocabulary words, merge_table merges, roles special)
    : words_(std::move(words)), merges_(std::move(merges)), roles_(std::move(special)), reaches_(words_.size()) {
  for (token_id id = 0; words_.contains(id); ++id) {
    const auto kind = words_.kind(id);
    if (kind == token_kind::normal) longest_word_ = std::max(longest_word_, words_.bytes(id).size());
    if (kind == token_kind::control) controls_.add(words_.bytes(id), id);
    if (kind == token_kind::user_defined) user_defined_.add(words_.bytes(id), id);
    if (kind == token_kind::control || kind == token_kind::user_defined) specials_.add(words_.bytes(id), id);
  }
}

std::vector<token_id> byte_pair_tokenizer::encode(std::string_view text, special_tokens mode) const {
  std::vector<token_id> out;
  out.reserve(text.size() / 3);  // English has four to five bytes a token
  word_merger merger(words_, merges_);
  const auto& names = mode == special_tokens::parse ? specials_ : user_defined_;
  while (const auto special = names.find_first(text)) {
    encode_words(text.substr(0, special->position), merger, out);
    out.push_back(special->token);
    text.remove_prefix(special->position + special->length);
  }
  encode_words(text, merger, out);
  return out;
}

void byte_pair_tokenizer::encode_words(std::string_view text, word_merger& merger, std::vector<token_id>& out) const {
  word_splitter words(text);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const auto token = word.size() <= longest_word_ ? words_.find_word(word) : std::nullopt;
    if (!token) {
      merger.merge(word, out);
      continue;
    }
    auto& known = reaches_[static_cast<std::size_t>(*token)];
    if (known.load(std::memory_order_relaxed) == reach::whole) {
      out.push_back(*token);
      continue;
    }
    const std::size_t before = out.size();
    merger.merge(word, out);
    const bool whole = out.size() == before + 1 && out.back() == *token;
    known.store(whole ? reach::whole : reach::parts, std::memory_order_relaxed);
  }
}

std::string_view byte_pair_tokenizer::token_bytes(token_id id) const {
  return words_.contains(id) ? words_.bytes(id) : std::string_view();
}

std::string byte_pair_tokenizer::decode(const std::vector<token_id>& ids, bool keep_special) const {
  std::string text;
  for (const token_id id : ids)
    if (keep_special || !is_control(id)) text.append(token_bytes(id));
  return text;
}

bool byte_pair_tokenizer::is_control(token_id id) const {
  return words_.contains(id) && words_.kind(id) == token_kind::control;
}

bool byte_pair_tokenizer::is_end(token_id id) const {
  return id == roles_.eos || std::ranges::find(roles_.ends, id) != roles_.ends.end();
}

std::optional<token_id> byte_pair_tokenizer::find(std::string_view token) const {
  if (const auto named = words_.find_name(token)) return named;
  return words_.find_word(token);
}

}  // namespace troupe
