#include "runtime/tokenizer/word_splitter.hpp"

#include "base/utf8.hpp"

#include <array>

namespace troupe {
namespace {

constexpr std::array<std::string_view, 7> contractions = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

/// ASCII letters in either case, as (?i) has it.
bool begins_with_letters(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c) != lower[i]) return false;
  }
  return true;
}

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

// `\s+(?!\S)|\s+`: the whole run at the end of the text or (smollm) before a number, else all but its last character,
// which is left for the word behind it (or for the next call, if it is not a blank); a run of one is taken as it is.
std::size_t word_splitter::space_word_end(std::size_t first_length) const {
  std::size_t last = 0;  // where the last character of the run begins
  std::size_t end = first_length;
  for (auto c = at(end); c.length > 0 && c.kind == character_class::space; c = at(end)) {
    last = end;
    end += c.length;
  }
  const bool sees_word =
      end < rest_.size() && (pattern_ == word_pattern::qwen2 || at(end).kind != character_class::number);
  return sees_word && last > 0 ? last : end;
}

std::size_t word_splitter::line_breaks_end(std::size_t from) const {
  while (from < rest_.size() && (rest_[from] == '\r' || rest_[from] == '\n'))
    ++from;
  return from;
}

std::size_t word_splitter::qwen2_word_end() const {
  for (const auto contraction : contractions)
    if (begins_with_letters(rest_, contraction)) return contraction.size();
  const auto first = at(0);
  const bool breaks_line = rest_[0] == '\r' || rest_[0] == '\n';
  if (first.kind == character_class::number) return first.length;
  if (first.kind == character_class::letter) return run_end(first.length, first.kind);
  const auto second = at(first.length);
  if (!breaks_line && second.length > 0 && second.kind == character_class::letter)
    return run_end(first.length + second.length, second.kind);
  if (first.kind == character_class::other) return line_breaks_end(run_end(first.length, first.kind));
  if (rest_[0] == ' ' && second.length > 0 && second.kind == character_class::other)
    return line_breaks_end(run_end(1 + second.length, second.kind));
  const std::size_t run = run_end(first.length, character_class::space);
  const std::size_t last_break = rest_.substr(0, run).find_last_of("\r\n");
  return last_break != std::string_view::npos ? last_break + 1 : space_word_end(first.length);
}

std::size_t word_splitter::smollm_word_end() const {
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
  const auto word = rest_.substr(0, pattern_ == word_pattern::smollm ? smollm_word_end() : qwen2_word_end());
  rest_.remove_prefix(word.size());
  return word;
}

}  // namespace troupe
