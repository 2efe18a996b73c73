// UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF (RFC 3629).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe {

inline constexpr char32_t replacement_character = 0xFFFD;

struct decoded_character {
  char32_t code_point;  // U+FFFD when the bytes are not valid
  std::size_t length;   // bytes consumed, at least 1 of a non-empty text: the longest prefix that could have been valid
  bool valid;
};

/// The first character of a text that is not empty.
decoded_character decode_utf8(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

/// Position of the first byte that breaks UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text);

/// How many bytes at the end are the valid beginning of a character that is not complete: 0 to 3.
std::size_t incomplete_utf8_suffix(std::string_view text);

/// The text with each maximal invalid part replaced by U+FFFD, as browsers and Python's "replace" do.
std::string repair_utf8(std::string_view text);

}  // namespace troupe
