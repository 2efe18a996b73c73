#include "runtime/openai/json_parse.hpp"

#include <array>
#include <string>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

error malformed(std::string sentence) {
  return make_error(errc::corrupt, std::move(sentence));
}

// One pass over the bytes outside strings. It need not know JSON: whatever is malformed here is refused by the parser
// after it.
result<> check_bounds(std::string_view text) {
  std::array<std::size_t, max_json_depth + 1> members{};
  std::size_t depth = 0;
  std::size_t all_members = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
      continue;
    }
    if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_json_depth)
        return malformed("The body is nested deeper than " + std::to_string(max_json_depth) + " levels.");
      members[depth] = 0;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    } else if (c == ':') {
      if (++members[depth] > max_json_members)
        return malformed("An object in the body has more than " + std::to_string(max_json_members) + " members.");
      if (++all_members > max_json_members_total)
        return malformed("The body's objects have more than " + std::to_string(max_json_members_total) + " members.");
    }
  }
  return {};
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: …" without the part that only its library
// understands.
std::string readable(std::string_view what) {
  if (const auto bracket = what.find("] "); what.starts_with('[') && bracket != std::string_view::npos)
    what.remove_prefix(bracket + 2);
  return "The body is not valid JSON: " + std::string(what) + ".";
}

}  // namespace

result<json> parse_json(std::string_view text) {
  if (text.empty()) return malformed("The body is empty; it must be a JSON object.");
  if (const auto bounds = check_bounds(text); !bounds) return bounds.error();
  try {
    return json::parse(text);
  } catch (const nlohmann::json::exception& failure) {
    return malformed(readable(failure.what()));
  }
}

result<json> parse_json_object(std::string_view text) {
  auto parsed = parse_json(text);
  if (parsed && !parsed->is_object()) return malformed("The body must be a JSON object.");
  return parsed;
}

}  // namespace troupe::openai
