#include "runtime/tokenizer/byte_pair_tokenizer.hpp"

#include <algorithm>

namespace troupe {

byte_pair_tokenizer::byte_pair_tokenizer(vocabulary vocabulary, merge_table merges, token_roles roles,
                                         word_pattern pattern)
    : vocabulary_tokenizer(std::move(vocabulary), std::move(roles)),
      merges_(std::move(merges)),
      pattern_(pattern),
      reaches_(words().size()) {
  for (token_id id = 0; words().contains(id); ++id)
    if (words().kind(id) == token_kind::normal) longest_word_ = std::max(longest_word_, words().bytes(id).size());
}

std::vector<token_id> byte_pair_tokenizer::encode(std::string_view text, special_tokens mode) const {
  std::vector<token_id> out;
  out.reserve(text.size() / 3);  // English has four to five bytes a token
  word_merger merger(words(), merges_);
  const auto& names = names_for(mode);
  while (const auto special = names.find_first(text)) {
    encode_words(text.substr(0, special->position), merger, out);
    out.push_back(special->token);
    text.remove_prefix(special->position + special->length);
  }
  encode_words(text, merger, out);
  return out;
}

void byte_pair_tokenizer::encode_words(std::string_view text, word_merger& merger, std::vector<token_id>& out) const {
  word_splitter splitter(text, pattern_);
  for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
    const auto token = word.size() <= longest_word_ ? words().find_word(word) : std::nullopt;
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

}  // namespace troupe
