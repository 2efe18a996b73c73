// The four classes of characters that GPT-2's word pattern tells apart: \p{L}, \p{N}, \s and everything else.
// ASCII is one table look-up; beyond it, a binary search among about 850 ranges.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

enum class character_class : std::uint8_t { other, letter, number, space };

struct unicode_range {
  char32_t first;
  char32_t last;
  character_class kind;
};

/// The generated table (unicode_tables.cpp): sorted and disjoint, from U+0080 on.
std::span<const unicode_range> unicode_ranges();

inline constexpr std::array<character_class, 128> ascii_classes = [] {
  std::array<character_class, 128> classes{};
  for (char c = 'a'; c <= 'z'; ++c)
    classes[static_cast<std::size_t>(c)] = character_class::letter;
  for (char c = 'A'; c <= 'Z'; ++c)
    classes[static_cast<std::size_t>(c)] = character_class::letter;
  for (char c = '0'; c <= '9'; ++c)
    classes[static_cast<std::size_t>(c)] = character_class::number;
  for (const char c : {'\t', '\n', '\v', '\f', '\r', ' '})
    classes[static_cast<std::size_t>(c)] = character_class::space;
  return classes;
}();

character_class classify_beyond_ascii(char32_t code_point);

/// Any number may be asked for; what is no assigned character is "other".
inline character_class classify(char32_t code_point) {
  return code_point < ascii_classes.size() ? ascii_classes[code_point] : classify_beyond_ascii(code_point);
}

}  // namespace troupe
