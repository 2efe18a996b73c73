// The small change of HTTP's grammar: case-insensitive names, percent-escapes, reason phrases, dates, header safety.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http {

/// ASCII only, whatever the locale.
bool iequals(std::string_view a, std::string_view b);

/// Empty when an escape is not two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);

std::string_view reason_phrase(int status);

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(std::chrono::system_clock::time_point when);

/// A token of RFC 9110, section 5.6.2: not empty, no blanks, no separators.
bool is_header_name(std::string_view name);

/// The value with every control character but TAB as a blank, so that no value can end its line and begin another.
std::string safe_header_value(std::string_view value);

}  // namespace troupe::http
