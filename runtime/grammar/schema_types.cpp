// What each type's keywords mean.
#include "base/utf8.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/number_range.hpp"
#include "runtime/grammar/regex_parser.hpp"
#include "runtime/grammar/schema_compiler.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace troupe::grammar {
namespace {

struct format {
  std::string_view name;
  std::string_view pattern;
};

#define TROUPE_DATE \
  "\\d{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12]\\d|3[01])|(04|06|09|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))"
#define TROUPE_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define TROUPE_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"

// Texts that every validator takes, not all that the RFCs allow: no 29 February, no leap second, no IPv6 with "::".
constexpr std::array<format, 9> formats{{
    {"date", "^" TROUPE_DATE "$"},
    {"time", "^" TROUPE_TIME "$"},
    {"date-time", "^" TROUPE_DATE "T" TROUPE_TIME "$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)$"},
    {"ipv6", "^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$"},
    {"email", "^[A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30})?@(" TROUPE_LABEL "\\.){1,3}[A-Za-z]{2,10}$"},
    {"hostname", "^(" TROUPE_LABEL "\\.){0,4}[A-Za-z]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$"},
    {"uri", "^https?://(" TROUPE_LABEL
            "\\.){0,4}[A-Za-z]{2,20}(:[1-9]\\d{0,3})?(/[A-Za-z0-9._~-]*)*(\\?[A-Za-z0-9._~&=-]*)?$"},
}};

#undef TROUPE_DATE
#undef TROUPE_TIME
#undef TROUPE_LABEL

std::string pointer_part(const std::string& name) {
  std::string escaped;
  for (const char c : name)
    escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return "/" + escaped;
}

}  // namespace

expression_id schema_compiler::compile_object(const schema_json& schema, const std::string& pointer) {
  const schema_json none = schema_json::object();
  const schema_json& members = schema.contains("properties") ? schema["properties"] : none;
  if (!members.is_object()) fail("properties is an object", errc::invalid_argument, pointer + "/properties");
  std::vector<std::string> required;
  if (const auto found = schema.find("required"); found != schema.end()) {
    if (!found->is_array() || !std::ranges::all_of(*found, [](const auto& name) { return name.is_string(); }))
      fail("required is a list of names", errc::invalid_argument, pointer + "/required");
    required = found->get<std::vector<std::string>>();
  }
  const auto is_required = [&](const std::string& name) { return std::ranges::find(required, name) != required.end(); };
  // Other members are of this schema; where nothing is said, any when no member has a name, else none.
  const bool is_open = !schema.contains("additionalProperties") && members.empty();
  const schema_json extra = schema.value("additionalProperties", schema_json(is_open));

  std::vector<std::string> names;
  std::vector<expression_id> parts;
  std::vector<bool> optional;
  const auto add = [&](const std::string& name, const schema_json& member, const std::string& at) {
    spend(required.size() + names.size());
    parts.push_back(rules_.sequence({rules_.literal(json_string(name)), shapes_.colon(), compile(member, at)}));
    optional.push_back(!is_required(name));
    names.push_back(name);
  };
  for (const auto& [name, member] : members.items())
    add(name, member, pointer + "/properties" + pointer_part(name));
  for (const auto& name : required) {
    if (std::ranges::find(names, name) != names.end()) continue;
    const bool unsaid = !schema.contains("additionalProperties");
    add(name, unsaid ? schema_json(true) : extra, pointer + "/additionalProperties");
  }
  if (extra != false) {
    const expression_id value = compile(extra, pointer + "/additionalProperties");
    const expression_id member = rules_.sequence({shapes_.key_except(names), shapes_.colon(), value});
    parts.push_back(shapes_.list(item_rule(member), 1, unbounded));
    optional.push_back(true);
  }
  return rules_.sequence({rules_.literal("{"),
                          rules_.joined(std::move(parts), std::move(optional), shapes_.comma(), omission::skip),
                          rules_.literal("}")});
}

expression_id schema_compiler::item_rule(expression_id item) {
  const rule_id id = rules_.declare("item");
  rules_.define(id, item);
  return rules_.call(id);
}

expression_id schema_compiler::compile_array(const schema_json& schema, const std::string& pointer) {
  const std::uint32_t min = count_at(schema, "minItems", 0, pointer);
  const std::uint32_t max = count_at(schema, "maxItems", unbounded, pointer);
  if (max < min) return rules_.choice({});
  // Drafts before 2020-12 wrote prefixItems as a list of items, and items as additionalItems.
  const bool is_old = schema.contains("items") && schema["items"].is_array();
  const char* first_keyword = is_old ? "items" : "prefixItems";
  const char* rest_keyword = is_old ? "additionalItems" : "items";
  const schema_json first = schema.value(first_keyword, schema_json::array());
  const schema_json rest = schema.value(rest_keyword, schema_json(true));
  if (!first.is_array())
    fail("prefixItems is a list of schemas", errc::invalid_argument, pointer + "/" + first_keyword);

  std::vector<expression_id> parts;
  std::vector<bool> optional;
  for (std::size_t i = 0; i < first.size() && i < max; ++i) {
    parts.push_back(compile(first[i], pointer + "/" + first_keyword + "/" + std::to_string(i)));
    optional.push_back(i >= min);
  }
  const auto n_first = static_cast<std::uint32_t>(parts.size());
  const std::uint32_t min_rest = min > n_first ? min - n_first : 0;
  const std::uint32_t max_rest = max == unbounded ? unbounded : max - n_first;
  if (max_rest > 0 && (rest != false || min_rest > 0)) {
    const expression_id item = item_rule(compile(rest, pointer + "/" + rest_keyword));
    if (max_rest > 16 && max_rest != unbounded) rules_.rule_at(rules_.at(item).rule).inlinable = false;
    parts.push_back(shapes_.list(item, std::max(min_rest, 1u), max_rest));
    optional.push_back(min_rest == 0);
  }
  return rules_.sequence({rules_.literal("["),
                          rules_.joined(std::move(parts), std::move(optional), shapes_.comma(), omission::stop),
                          rules_.literal("]")});
}

expression_id schema_compiler::compile_string(const schema_json& schema, const std::string& pointer) {
  const std::uint32_t min = count_at(schema, "minLength", 0, pointer);
  const std::uint32_t max = count_at(schema, "maxLength", unbounded, pointer);
  const bool has_length = min > 0 || max != unbounded;
  const auto pattern = schema.find("pattern"), format_name = schema.find("format");
  if (pattern == schema.end() && format_name == schema.end()) {
    if (max < min) return rules_.choice({});
    return has_length ? shapes_.string_of_length(min, max) : shapes_.string();
  }
  if (has_length || (pattern != schema.end() && format_name != schema.end()))
    fail("a string's pattern, format and length cannot be combined", errc::unsupported, pointer);
  const bool is_pattern = pattern != schema.end();
  const std::string at = pointer + (is_pattern ? "/pattern" : "/format");
  const schema_json& given = is_pattern ? *pattern : *format_name;
  if (!given.is_string()) fail("pattern and format are strings", errc::invalid_argument, at);
  std::string text = given.get<std::string>();
  if (!is_pattern) {
    const auto known = std::ranges::find(formats, text, &format::name);
    if (known == formats.end()) fail("the format \"" + text + "\" is not supported", errc::unsupported, at);
    text = known->pattern;
  }
  return rules_.sequence({rules_.literal("\""), parse_regex(rules_, shapes_, text, at), rules_.literal("\"")});
}

expression_id schema_compiler::compile_number(const schema_json& schema, bool only_integers,
                                              const std::string& pointer) {
  const auto read = [&](const char* keyword, bool exclusive) -> std::optional<number_bound> {
    const auto found = schema.find(keyword);
    if (found == schema.end()) return std::nullopt;
    if (!found->is_number())
      fail(std::string(keyword) + " is a number", errc::invalid_argument, pointer + "/" + keyword);
    const auto at = parse_decimal(found->dump());
    if (!at) fail(std::string(keyword) + " has too many digits", errc::unsupported, pointer + "/" + keyword);
    return number_bound{*at, exclusive};
  };
  auto low = read("minimum", false), high = read("maximum", false);
  const auto above = read("exclusiveMinimum", true), below = read("exclusiveMaximum", true);
  if (above && (!low || !is_less(above->at, low->at))) low = above;
  if (below && (!high || !is_less(high->at, below->at))) high = below;
  if (!low && !high) return only_integers ? shapes_.integer() : shapes_.number();
  return number_between(rules_, shapes_, low, high, only_integers);
}

}  // namespace troupe::grammar
