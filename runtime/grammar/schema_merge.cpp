#include "runtime/grammar/schema_merge.hpp"

#include "runtime/grammar/failure.hpp"

#include <algorithm>
#include <string_view>

namespace troupe::grammar {
namespace {

bool contains(const schema_json& list, const schema_json& value) {
  return std::ranges::find(list, value) != list.end();
}

schema_json as_list(const schema_json& value) {
  return value.is_array() ? value : schema_json::array({value});
}

// "integer" is a "number" too.
schema_json common_types(const schema_json& a, const schema_json& b) {
  schema_json both = schema_json::array();
  const auto allows = [](const schema_json& list, const schema_json& type) {
    return contains(list, type) || (type == "integer" && contains(list, "number"));
  };
  for (const auto& [list, other] : {std::pair{as_list(a), as_list(b)}, std::pair{as_list(b), as_list(a)}})
    for (const auto& type : list)
      if (allows(other, type) && !contains(both, type)) both.push_back(type);
  return both;
}

schema_json common_values(const schema_json& a, const schema_json& b) {
  schema_json both = schema_json::array();
  for (const auto& value : a)
    if (contains(b, value)) both.push_back(value);
  return both;
}

// What holds for a member that only the other side names.
schema_json bound_by(const schema_json& member, const schema_json& other) {
  const auto extra = other.find("additionalProperties");
  if (extra == other.end() || *extra == true) return member;
  return {{"allOf", schema_json::array({member, *extra})}};
}

void merge_members(schema_json& made, const schema_json& a, const schema_json& b) {
  const schema_json none = schema_json::object();
  const schema_json in_a = a.value("properties", none), in_b = b.value("properties", none);
  schema_json members = schema_json::object();
  for (const auto& [name, member] : in_a.items()) {
    const auto twin = in_b.find(name);
    members[name] =
        twin == in_b.end() ? bound_by(member, b) : schema_json{{"allOf", schema_json::array({member, *twin})}};
  }
  for (const auto& [name, member] : in_b.items())
    if (!in_a.contains(name)) members[name] = bound_by(member, a);
  if (a.contains("properties") || b.contains("properties")) made["properties"] = std::move(members);
  const auto extra_a = a.find("additionalProperties"), extra_b = b.find("additionalProperties");
  if (extra_a != a.end() && extra_b != b.end()) {
    made["additionalProperties"] = *extra_a == *extra_b ? *extra_a
                                   : *extra_a == false || *extra_b == false
                                       ? schema_json(false)
                                       : schema_json{{"allOf", schema_json::array({*extra_a, *extra_b})}};
  } else if (extra_b != b.end()) {
    made["additionalProperties"] = *extra_b;
  }
}

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

schema_json merge_schemas(const schema_json& a, const schema_json& b, const std::string& pointer) {
  if (a.is_boolean()) return a == true ? b : a;
  if (b.is_boolean()) return b == true ? a : b;
  schema_json made = a;
  for (const auto& [key, value] : b.items()) {
    if (key == "properties" || key == "additionalProperties") continue;
    const auto mine = made.find(key);
    if (mine == made.end()) {
      made[key] = value;
    } else if (key == "type") {
      *mine = common_types(*mine, value);
    } else if (key == "enum" && mine->is_array() && value.is_array()) {
      *mine = common_values(*mine, value);
    } else if (key == "required" && mine->is_array() && value.is_array()) {
      for (const auto& name : value)
        if (!contains(*mine, name)) mine->push_back(name);
    } else if (is_any_of(key, {"minimum", "exclusiveMinimum", "minLength", "minItems"})) {
      if (*mine < value) *mine = value;
    } else if (is_any_of(key, {"maximum", "exclusiveMaximum", "maxLength", "maxItems"})) {
      if (value < *mine) *mine = value;
    } else if (key == "items" && !mine->is_array() && !value.is_array()) {
      *mine = {{"allOf", schema_json::array({*mine, value})}};
    } else if (*mine != value && is_any_of(key, {"enum", "const", "required", "items", "prefixItems", "pattern",
                                                 "format", "anyOf", "oneOf", "additionalItems"})) {
      fail("two schemas that must both hold have different \"" + key + "\", which cannot be combined here",
           errc::unsupported, pointer + "/" + key);
    }
  }
  merge_members(made, a, b);
  return made;
}

}  // namespace troupe::grammar
