#include "runtime/tokenizer/wordpiece_characters.hpp"

#include <algorithm>

namespace troupe::wordpiece {
namespace {

character_kind kind_of_ascii(char32_t c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return character_kind::space;
  if (c < 0x20 || c == 0x7F) return character_kind::dropped;
  const bool is_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter ? character_kind::letter : character_kind::punctuation;
}

// The Unicode Standard, section 3.12.
std::array<char32_t, 3> decompose_hangul(char32_t code_point) {
  constexpr char32_t n_vowels = 21;
  constexpr char32_t n_trailing = 28;
  const char32_t index = code_point - 0xAC00;
  const char32_t trailing = index % n_trailing;
  return {0x1100 + index / (n_vowels * n_trailing), 0x1161 + index % (n_vowels * n_trailing) / n_trailing,
          trailing == 0 ? 0 : 0x11A7 + trailing};
}

}  // namespace

character_kind kind_of(char32_t code_point) {
  if (code_point < 0x80) return kind_of_ascii(code_point);
  const auto ranges = kind_ranges();
  const auto range = std::ranges::lower_bound(ranges, code_point, {}, &kind_range::last);
  if (range == ranges.end() || code_point < range->first) return character_kind::letter;
  return range->kind;
}

bool is_ideograph(char32_t c) {
  if (c < 0x3400) return false;
  return c <= 0x4DBF || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

std::array<char32_t, 3> fold(char32_t code_point) {
  if (code_point < 0x80) return {code_point >= 'A' && code_point <= 'Z' ? code_point + ('a' - 'A') : code_point};
  if (code_point >= 0xAC00 && code_point <= 0xD7A3) return decompose_hangul(code_point);
  const auto table = folded_characters();
  const auto found = std::ranges::lower_bound(table, code_point, {}, &folded_character::from);
  if (found != table.end() && found->from == code_point) return found->to;
  return {code_point};
}

}  // namespace troupe::wordpiece
