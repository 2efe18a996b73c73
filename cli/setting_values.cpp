#include "cli/setting_values.hpp"

#include <cstdint>
#include <fstream>
#include <sstream>

namespace troupe::cli {

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');)
    if (!item.empty()) items.push_back(item);
  return items;
}

std::string shortest(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

result<> parse_decimal(const std::string& text, double& out, double low, double high) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high))
    return make_error(errc::invalid_argument,
                      "'" + text + "' is not a number from " + shortest(low) + " to " + shortest(high) + ".");
  out = value;
  return {};
}

result<> parse_weights(const std::string& text, std::map<std::string, double>& weights) {
  for (const auto& item : split_list(text)) {
    const auto equals = item.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return make_error(errc::invalid_argument, "'" + item + "' is no TENANT=WEIGHT.");
    double weight = 0;
    if (auto parsed = parse_decimal(item.substr(equals + 1), weight, 0.001, 1000); !parsed)
      return make_error(errc::invalid_argument, "'" + item + "': " + parsed.error().message);
    if (!weights.emplace(item.substr(0, equals), weight).second)
      return make_error(errc::invalid_argument, "'" + item.substr(0, equals) + "' has a weight already.");
  }
  return {};
}

result<> parse_seconds(const std::string& text, std::chrono::milliseconds& out) {
  std::uint32_t seconds = 0;
  if (auto parsed = parse_number<std::uint32_t>(text, seconds, 1, 86'400); !parsed) return parsed;
  out = std::chrono::seconds(seconds);
  return {};
}

result<> parse_milliseconds(const std::string& text, std::chrono::milliseconds& out) {
  std::uint32_t milliseconds = 0;
  if (auto parsed = parse_number<std::uint32_t>(text, milliseconds, 1, 3'600'000); !parsed) return parsed;
  out = std::chrono::milliseconds(milliseconds);
  return {};
}

result<> parse_flag(const std::string& text, bool& out) {
  if (text == "true" || text == "1" || text == "yes" || text == "on")
    out = true;
  else if (text == "false" || text == "0" || text == "no" || text == "off")
    out = false;
  else
    return make_error(errc::invalid_argument, "'" + text + "' is neither true nor false.");
  return {};
}

result<> parse_choice(const std::string& text, std::string& out, std::initializer_list<const char*> choices) {
  std::string list;
  for (const char* choice : choices) {
    if (text == choice) {
      out = text;
      return {};
    }
    list += (list.empty() ? "" : ", ") + std::string(choice[0] == '\0' ? "(nothing)" : choice);
  }
  return make_error(errc::invalid_argument, "'" + text + "' is none of: " + list + ".");
}

result<> read_key_file(const std::string& path, std::vector<std::string>& keys) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) return make_error(errc::invalid_argument, "Cannot read the key file '" + path + "'.");
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) keys.push_back(line);
  if (keys.empty()) return make_error(errc::invalid_argument, "The key file '" + path + "' holds no key.");
  return {};
}

result<> read_template_file(const std::string& path, std::string& source) {
  if (path.empty()) return {};
  std::ifstream in(path);
  if (!in) return make_error(errc::invalid_argument, "Cannot read the chat template '" + path + "'.");
  std::stringstream all;
  all << in.rdbuf();
  source = all.str();
  return {};
}

}  // namespace troupe::cli
