// How the text of a setting becomes a value. Errors say what is wrong with the text and what would be right; whoever
// applies a setting names it.
#pragma once

#include "base/result.hpp"

#include <charconv>
#include <chrono>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace troupe::cli {

/// What stands between commas, less what is empty.
std::vector<std::string> split_list(const std::string& text);

/// As few digits as tell it from all others.
std::string shortest(double value);

template <class Number>
result<> parse_number(const std::string& text, Number& out, Number low, Number high) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    return make_error(errc::invalid_argument, "'" + text + "' is not a whole number from " + std::to_string(low) +
                                                  " to " + std::to_string(high) + ".");
  out = value;
  return {};
}

result<> parse_decimal(const std::string& text, double& out, double low, double high);
result<> parse_seconds(const std::string& text, std::chrono::milliseconds& out);
result<> parse_milliseconds(const std::string& text, std::chrono::milliseconds& out);
result<> parse_flag(const std::string& text, bool& out);
result<> parse_choice(const std::string& text, std::string& out, std::initializer_list<const char*> choices);
/// "a=2,b=0.5"
result<> parse_weights(const std::string& text, std::map<std::string, double>& weights);
/// A file with one key a line, so that keys stay out of process lists and shell histories.
result<> read_key_file(const std::string& path, std::vector<std::string>& keys);
result<> read_template_file(const std::string& path, std::string& source);

}  // namespace troupe::cli
