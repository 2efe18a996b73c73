#include "runtime/grammar/gbnf_cursor.hpp"

#include "base/utf8.hpp"
#include "runtime/grammar/expression.hpp"
#include "runtime/grammar/failure.hpp"

namespace troupe::grammar {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_part(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

text_place gbnf_cursor::place_of(std::size_t position) const {
  text_place place{1, 1};
  for (std::size_t i = 0; i < position && i < source_.size(); ++i) {
    if (source_[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<std::uint8_t>(source_[i]) & 0xC0) != 0x80) {
      ++place.column;
    }
  }
  return place;
}

void gbnf_cursor::fail_at(std::size_t position, const std::string& message) const {
  const text_place place = place_of(position);
  fail("line " + std::to_string(place.line) + ", column " + std::to_string(place.column) + ": " + message);
}

bool gbnf_cursor::skip(std::string_view text) {
  if (!at(text)) return false;
  at_ += text.size();
  return true;
}

void gbnf_cursor::skip_space(bool across_lines) {
  while (!at_end()) {
    const char c = source_[at_];
    if (c == '#') {
      while (!at_end() && source_[at_] != '\n')
        ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r' || (across_lines && c == '\n')) {
      ++at_;
    } else {
      return;
    }
  }
}

std::string_view gbnf_cursor::take_name() {
  const std::size_t start = at_;
  while (!at_end() && is_name_part(source_[at_]))
    ++at_;
  return source_.substr(start, at_ - start);
}

std::uint32_t gbnf_cursor::take_number() {
  if (at_end() || !is_digit(source_[at_])) fail_here("a number is expected");
  std::uint32_t number = 0;
  for (; !at_end() && is_digit(source_[at_]); ++at_)
    number = number > 100'000'000 ? unbounded : number * 10 + static_cast<std::uint32_t>(source_[at_] - '0');
  return number;
}

std::uint32_t gbnf_cursor::take_character(std::string_view inside) {
  if (at_end() || source_[at_] == '\n') fail_here("the " + std::string(inside) + " is not closed on its line");
  if (source_[at_] == '\\') return take_escape();
  const auto character = decode_utf8(source_.substr(at_));
  at_ += character.length;
  return static_cast<std::uint32_t>(character.code_point);
}

std::uint32_t gbnf_cursor::take_escape() {
  const std::size_t start = at_++;
  if (at_end()) fail_at(start, "an escape is not finished");
  switch (source_[at_++]) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '[':
      return '[';
    case ']':
      return ']';
    case 'x':
      return take_hex(2, start);
    case 'u':
      return take_hex(4, start);
    case 'U':
      return take_hex(8, start);
    default:
      fail_at(start, "this escape is unknown; there are \\n \\t \\r \\\" \\\\ \\[ \\] \\x41 \\u0041 \\U00000041");
  }
}

std::uint32_t gbnf_cursor::take_hex(std::size_t n_digits, std::size_t start) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < n_digits; ++i, ++at_) {
    const int digit = at_end() ? -1 : hex_value(source_[at_]);
    if (digit < 0) fail_at(start, "this escape takes " + std::to_string(n_digits) + " hexadecimal digits");
    value = value * 16 + static_cast<std::uint64_t>(digit);
  }
  if (value > max_code_point || (value >= 0xD800 && value <= 0xDFFF))
    fail_at(start, "this escape is no character of Unicode");
  return static_cast<std::uint32_t>(value);
}

}  // namespace troupe::grammar
