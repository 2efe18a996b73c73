#include "base/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace troupe {
namespace {

struct lead {
  std::size_t length;  // 0: not a lead byte
  std::uint8_t second_min;
  std::uint8_t second_max;
};

// Table 3-7 of the Unicode standard: the second byte's range is what excludes overlong forms and surrogates.
lead classify(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Bytes at the front of the text that agree with its lead byte.
std::size_t agreeing_bytes(std::string_view text, const lead& l) {
  std::size_t n = 1;
  while (n < l.length && n < text.size()) {
    const auto byte = static_cast<std::uint8_t>(text[n]);
    const std::uint8_t low = n == 1 ? l.second_min : 0x80;
    const std::uint8_t high = n == 1 ? l.second_max : 0xBF;
    if (byte < low || byte > high) break;
    ++n;
  }
  return n;
}

}  // namespace

decoded_character decode_utf8(std::string_view text) {
  const auto first = static_cast<std::uint8_t>(text[0]);
  const lead l = classify(first);
  if (l.length == 0) return {replacement_character, 1, false};
  if (l.length == 1) return {first, 1, true};
  const std::size_t n = agreeing_bytes(text, l);
  if (n < l.length) return {replacement_character, n, false};
  char32_t code_point = first & (0x7Fu >> l.length);
  for (std::size_t i = 1; i < n; ++i)
    code_point = (code_point << 6) | (static_cast<std::uint8_t>(text[i]) & 0x3Fu);
  return {code_point, n, true};
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode_utf8(text.substr(at));
    if (!c.valid) return at;
    at += c.length;
  }
  return std::string_view::npos;
}

std::size_t incomplete_utf8_suffix(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto tail = text.substr(text.size() - back);
    const lead l = classify(static_cast<std::uint8_t>(tail[0]));
    if (l.length == 0) continue;  // a continuation byte, or one that starts nothing: look further back
    return l.length > back && agreeing_bytes(tail, l) == back ? back : 0;
  }
  return 0;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode_utf8(text.substr(at));
    if (c.valid) {
      out.append(text.substr(at, c.length));
    } else {
      append_utf8(out, replacement_character);
    }
    at += c.length;
  }
  return out;
}

}  // namespace troupe
