#include "runtime/tokenizer/vocabulary_tokenizer.hpp"

#include <algorithm>

namespace troupe {

vocabulary_tokenizer::vocabulary_tokenizer(vocabulary words, token_roles roles)
    : words_(std::move(words)), roles_(std::move(roles)) {
  for (token_id id = 0; words_.contains(id); ++id) {
    const auto kind = words_.kind(id);
    if (kind == token_kind::control) controls_.add(words_.bytes(id), id);
    if (kind == token_kind::user_defined) user_defined_.add(words_.bytes(id), id);
    if (kind == token_kind::control || kind == token_kind::user_defined) specials_.add(words_.bytes(id), id);
  }
}

std::string_view vocabulary_tokenizer::token_bytes(token_id id) const {
  return words_.contains(id) ? words_.bytes(id) : std::string_view();
}

std::string vocabulary_tokenizer::decode(const std::vector<token_id>& ids, bool keep_special) const {
  std::string text;
  for (const token_id id : ids)
    if (keep_special || !is_control(id)) text.append(token_bytes(id));
  return text;
}

bool vocabulary_tokenizer::is_control(token_id id) const {
  return words_.contains(id) && words_.kind(id) == token_kind::control;
}

bool vocabulary_tokenizer::is_end(token_id id) const {
  return id == roles_.eos || std::ranges::find(roles_.ends, id) != roles_.ends.end();
}

std::optional<token_id> vocabulary_tokenizer::find(std::string_view token) const {
  if (const auto named = words_.find_name(token)) return named;
  return words_.find_word(token);
}

}  // namespace troupe
