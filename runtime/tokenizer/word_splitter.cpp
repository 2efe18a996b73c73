#include "runtime/tokenizer/word_splitter.hpp"

#include "base/utf8.hpp"

#include <array>

namespace troupe {
namespace {

constexpr std::array<std::string_view, 7> contractions = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

}  // namespace

word_splitter::character word_splitter::at(std::size_t position) const {
  if (position >= rest_.size()) return {character_class::other, 0};
  const auto byte = static_cast<unsigned char>(rest_[position]);
  if (byte < 0x80) return {classify(byte), 1};
  const auto c = decode_utf8(rest_.substr(position));
  return {c.valid ? classify(c.code_point) : character_class::other, c.length};
}

std::size_t word_splitter::run_end(std::size_t from, character_class kind) const {
  while (from < rest_.size()) {
    const auto c = at(from);
    if (c.kind != kind) break;
    from += c.length;
  }
  return from;
}

// `\s+(?!\S)|\s+`: the whole run at the end of the text or before a number, else all but its last character, which is
// left for the word behind it (or for the next call, if it is not a blank); a run of one is taken as it is.
std::size_t word_splitter::space_word_end(std::size_t first_length) const {
  std::size_t last = 0;  // where the last character of the run begins
  std::size_t end = first_length;
  for (auto c = at(end); c.length > 0 && c.kind == character_class::space; c = at(end)) {
    last = end;
    end += c.length;
  }
  const bool sees_word = end < rest_.size() && at(end).kind != character_class::number;
  return sees_word && last > 0 ? last : end;
}

std::size_t word_splitter::word_end() const {
  if (rest_[0] == '\'') {
    for (const auto contraction : contractions)
      if (rest_.starts_with(contraction)) return contraction.size();
  }
  const auto first = at(0);
  if (first.kind == character_class::number) return first.length;
  if (first.kind != character_class::space) return run_end(first.length, first.kind);
  if (rest_[0] == ' ') {
    const auto second = at(1);
    if (second.length > 0 && (second.kind == character_class::letter || second.kind == character_class::other))
      return run_end(1 + second.length, second.kind);
  }
  return space_word_end(first.length);
}

std::string_view word_splitter::next() {
  if (rest_.empty()) return {};
  const auto word = rest_.substr(0, word_end());
  rest_.remove_prefix(word.size());
  return word;
}

}  // namespace troupe
