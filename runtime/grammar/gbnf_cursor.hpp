// Where the GBNF parser stands in its text: characters, white space, comments, and errors with line and column.
#pragma once

#include "runtime/grammar/code_points.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::grammar {

struct text_place {
  std::uint32_t line;    // from 1
  std::uint32_t column;  // from 1, in characters
};

class gbnf_cursor {
 public:
  explicit gbnf_cursor(std::string_view source) : source_(source) {}

  bool at_end() const { return at_ >= source_.size(); }
  std::size_t position() const { return at_; }
  void move_to(std::size_t position) { at_ = position; }
  bool at(std::string_view text) const { return source_.substr(at_).starts_with(text); }
  bool skip(std::string_view text);

  /// Blanks and comments; line ends as well when they do not matter here.
  void skip_space(bool across_lines);
  /// [A-Za-z0-9_-]*
  std::string_view take_name();
  /// Digits as a number; `unbounded` when it does not fit.
  std::uint32_t take_number();
  /// One character of a literal or class, escapes resolved. Not at the end of a line or of the text.
  std::uint32_t take_character(std::string_view inside);

  [[noreturn]] void fail_here(const std::string& message) const { fail_at(at_, message); }
  [[noreturn]] void fail_at(std::size_t position, const std::string& message) const;
  text_place place_of(std::size_t position) const;

 private:
  std::uint32_t take_escape();
  std::uint32_t take_hex(std::size_t n_digits, std::size_t start);

  std::string_view source_;
  std::size_t at_ = 0;
};

}  // namespace troupe::grammar
