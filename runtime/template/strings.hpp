// Python's operations on strings, over valid UTF-8: positions and lengths count code points, as Python's do.
// Upper and lower case follow the C library's Unicode tables, one character for one; of the characters that Python
// turns into several, only the German sharp s is done.
#pragma once

#include "runtime/template/budget.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

bool is_space(char32_t c);
/// What Python's repr leaves as it is. Unassigned code points count as printable.
bool is_printable(char32_t c);

std::size_t length(std::string_view text);
/// The character at a position that may be negative, or nothing.
std::optional<std::string> character_at(std::string_view text, std::int64_t position);
/// The first position of a text at or after a byte, in characters, or -1.
std::int64_t find(std::string_view text, std::string_view wanted);

enum class side : unsigned char { left, right, both };
/// Without characters, whitespace.
std::string_view strip(std::string_view text, side where, std::optional<std::string_view> characters);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title(): a letter after something that is no letter is upper case.
std::string title(std::string_view text);
/// The filter: words begin after white space, hyphens and opening brackets only.
std::string title_words(std::string_view text);

/// A negative limit is no limit. Without a separator, splits at white space and gives no empty parts.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator,
                                    std::int64_t limit);
/// The same from the right.
std::vector<std::string_view> rsplit(std::string_view text, std::optional<std::string_view> separator,
                                     std::int64_t limit);
std::vector<std::string_view> split_lines(std::string_view text);
std::string replace(std::string_view text, std::string_view from, std::string_view to, std::int64_t limit,
                    budget& limits);

/// A slice as Python resolves it: the positions to visit in an array of a length.
struct slice_bounds {
  std::int64_t start;
  std::int64_t step;
  std::int64_t count;
};
slice_bounds resolve_slice(std::size_t length, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                           std::optional<std::int64_t> step);

}  // namespace troupe::jinja
