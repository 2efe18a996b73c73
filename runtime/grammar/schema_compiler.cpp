#include "runtime/grammar/schema_compiler.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe::grammar {
namespace {

// They would change what is valid, so they are not ignored.
constexpr std::array<std::string_view, 22> unsupported_keywords{"not",
                                                                "if",
                                                                "then",
                                                                "else",
                                                                "patternProperties",
                                                                "propertyNames",
                                                                "minProperties",
                                                                "maxProperties",
                                                                "dependentRequired",
                                                                "dependentSchemas",
                                                                "dependencies",
                                                                "contains",
                                                                "minContains",
                                                                "maxContains",
                                                                "multipleOf",
                                                                "unevaluatedItems",
                                                                "unevaluatedProperties",
                                                                "$dynamicRef",
                                                                "$recursiveRef",
                                                                "extends",
                                                                "disallow",
                                                                "divisibleBy"};

constexpr std::array<std::string_view, 8> annotations{"title",   "description", "default",  "examples",
                                                      "$schema", "$id",         "$comment", "$defs"};

constexpr std::size_t max_references = 1024;
constexpr std::size_t most_work = 2'000'000;  // nodes of schemas read, copied and merged

bool is_annotation(std::string_view key) {
  return std::ranges::find(annotations, key) != annotations.end() || key == "definitions" || key == "deprecated" ||
         key == "readOnly" || key == "writeOnly";
}

std::size_t count_nodes(const schema_json& value) {
  std::size_t n = 1;
  if (value.is_structured())
    for (const auto& child : value)
      n += count_nodes(child);
  return n;
}

bool has_siblings(const schema_json& schema, std::string_view keyword) {
  return std::ranges::any_of(schema.items(),
                             [&](const auto& item) { return item.key() != keyword && !is_annotation(item.key()); });
}

void check_keywords(const schema_json& schema, const std::string& pointer) {
  for (const auto& [key, value] : schema.items()) {
    const bool is_refused = std::ranges::find(unsupported_keywords, key) != unsupported_keywords.end() ||
                            (key == "uniqueItems" && value != false);
    if (is_refused)
      fail("the schema's keyword \"" + key + "\" is not supported", errc::unsupported, pointer + "/" + key);
  }
}

bool is_of_type(const schema_json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer") return value.is_number_integer();
  return value.is_number();
}

}  // namespace

rule_set schema_compiler::run() {
  const rule_id root = rules_.declare("root");
  references_.emplace("", root);
  rules_.root = root;
  rules_.define(root, compile(document_, ""));
  for (std::size_t i = 0; i < waiting_.size(); ++i) {  // what is referred to may refer to more
    const std::string name = waiting_[i];
    rules_.define(references_.at(name), compile(resolve("#" + name, ""), name));
  }
  return std::move(rules_);
}

void schema_compiler::spend(std::size_t work) {
  work_ += work;
  if (work_ > most_work) fail_too_large("the schema is too large once its references are followed");
}

expression_id schema_compiler::compile(const schema_json& schema, const std::string& pointer) {
  spend(1);
  if (schema.is_boolean()) return schema == true ? shapes_.value() : rules_.choice({});
  if (!schema.is_object()) fail("a schema is an object, true or false", errc::invalid_argument, pointer);
  check_keywords(schema, pointer);
  if (++depth_ > max_source_nesting) fail_too_large("the schema is nested too deeply once allOf and $ref are merged");
  expression_id made = nothing;
  if (schema.contains("$ref")) {
    made = compile_reference(schema, pointer);
  } else if (schema.contains("allOf")) {
    made = compile_all_of(schema, pointer);
  } else if (schema.contains("anyOf")) {
    made = compile_any_of(schema, "anyOf", pointer);
  } else if (schema.contains("oneOf")) {
    made = compile_any_of(schema, "oneOf", pointer);
  } else if (schema.contains("enum") || schema.contains("const")) {
    made = compile_values(schema, pointer);
  } else {
    std::vector<expression_id> ways;
    for (const auto& type : types_of(schema, pointer))
      ways.push_back(compile_type(schema, type, pointer));
    made = rules_.choice(std::move(ways));
  }
  --depth_;
  return made;
}

const schema_json& schema_compiler::resolve(const schema_json& reference, const std::string& pointer) const {
  if (!reference.is_string()) fail("$ref is a string", errc::invalid_argument, pointer + "/$ref");
  const auto text = reference.get<std::string>();
  if (text != "#" && !text.starts_with("#/"))
    fail("the reference \"" + text + "\" is not inside the document", errc::unsupported, pointer + "/$ref");
  try {
    return document_.at(schema_json::json_pointer(text.substr(1)));
  } catch (const schema_json::exception&) {
    fail("the reference \"" + text + "\" names nothing", errc::invalid_argument, pointer + "/$ref");
  }
}

expression_id schema_compiler::compile_reference(const schema_json& schema, const std::string& pointer) {
  if (has_siblings(schema, "$ref")) return compile(flattened(schema, pointer, 0), pointer);
  resolve(schema["$ref"], pointer);
  const std::string name = schema["$ref"].get<std::string>().substr(1);
  const auto [found, is_new] = references_.try_emplace(name, 0);
  if (is_new) {
    if (references_.size() > max_references)
      fail_too_large("the schema has more than " + std::to_string(max_references) + " references");
    found->second = rules_.declare(name);
    waiting_.push_back(name);
  }
  return rules_.call(references_.at(name));
}

schema_json schema_compiler::flattened(const schema_json& schema, const std::string& pointer, int depth) {
  spend(count_nodes(schema));
  if (!schema.is_object() || (!schema.contains("$ref") && !schema.contains("allOf"))) return schema;
  if (depth > max_source_nesting) fail("the schema refers to itself without end", errc::unsupported, pointer);
  check_keywords(schema, pointer);
  schema_json made = schema_json::object();
  for (const auto& [key, value] : schema.items())
    if (key != "$ref" && key != "allOf" && key != "$defs" && key != "definitions") made[key] = value;
  if (schema.contains("$ref"))
    made = merge_schemas(flattened(resolve(schema["$ref"], pointer), pointer, depth + 1), made, pointer);
  if (schema.contains("allOf")) {
    if (!schema["allOf"].is_array()) fail("allOf is a list of schemas", errc::invalid_argument, pointer + "/allOf");
    for (const auto& part : schema["allOf"]) {
      made = merge_schemas(made, flattened(part, pointer + "/allOf", depth + 1), pointer);
      spend(count_nodes(made));
    }
  }
  return made;
}

expression_id schema_compiler::compile_all_of(const schema_json& schema, const std::string& pointer) {
  if (!has_siblings(schema, "allOf") && schema["allOf"].is_array() && schema["allOf"].size() == 1)
    return compile(schema["allOf"][0], pointer + "/allOf/0");
  return compile(flattened(schema, pointer, 0), pointer);
}

expression_id schema_compiler::compile_any_of(const schema_json& schema, std::string_view keyword,
                                              const std::string& pointer) {
  const std::string place = pointer + "/" + std::string(keyword);
  const schema_json& alternatives = schema[std::string(keyword)];
  if (!alternatives.is_array()) fail(std::string(keyword) + " is a list of schemas", errc::invalid_argument, place);
  if (keyword == "anyOf" && schema.contains("oneOf"))
    fail("anyOf and oneOf together are not supported", errc::unsupported, pointer + "/oneOf");
  schema_json base = schema;
  base.erase(std::string(keyword));
  const bool has_base = has_siblings(schema, keyword);
  std::vector<expression_id> ways;
  for (std::size_t i = 0; i < alternatives.size(); ++i) {
    const std::string at = place + "/" + std::to_string(i);
    if (!has_base) {
      ways.push_back(compile(alternatives[i], at));
    } else {
      const schema_json alternative = flattened(alternatives[i], at, 0);
      spend(count_nodes(base));
      ways.push_back(compile(merge_schemas(base, alternative, at), at));
    }
  }
  return rules_.choice(std::move(ways));
}

expression_id schema_compiler::compile_values(const schema_json& schema, const std::string& pointer) {
  static constexpr std::array<std::string_view, 15> others{
      "minimum",   "maximum",     "exclusiveMinimum", "exclusiveMaximum", "minLength",
      "maxLength", "pattern",     "format",           "minItems",         "maxItems",
      "items",     "prefixItems", "properties",       "required",         "additionalProperties"};
  for (const std::string_view other : others)
    if (schema.contains(std::string(other)))
      fail("\"" + std::string(other) + "\" beside enum or const is not supported", errc::unsupported,
           pointer + "/" + std::string(other));
  schema_json values = schema_json::array();
  if (schema.contains("enum")) {
    if (!schema["enum"].is_array()) fail("enum is a list of values", errc::invalid_argument, pointer + "/enum");
    values = schema["enum"];
  }
  if (schema.contains("const")) {
    const bool is_listed = !schema.contains("enum") || std::ranges::find(values, schema["const"]) != values.end();
    values = schema_json::array();
    if (is_listed) values.push_back(schema["const"]);
  }
  const auto types = schema.contains("type") ? types_of(schema, pointer) : std::vector<std::string>{};
  std::vector<expression_id> ways;
  for (const auto& value : values) {
    const auto fits = [&](const std::string& type) { return is_of_type(value, type); };
    if (!schema.contains("type") || std::ranges::any_of(types, fits)) ways.push_back(rules_.literal(value.dump()));
  }
  return rules_.choice(std::move(ways));
}

std::vector<std::string> schema_compiler::types_of(const schema_json& schema, const std::string& pointer) const {
  static constexpr std::array<std::string_view, 7> all{"object",  "array",   "string", "number",
                                                       "integer", "boolean", "null"};
  std::vector<std::string> types;
  if (const auto given = schema.find("type"); given != schema.end()) {
    for (const auto& type : given->is_array() ? *given : schema_json::array({*given})) {
      if (!type.is_string() || std::ranges::find(all, type.get<std::string>()) == all.end())
        fail("a type is one of object, array, string, number, integer, boolean, null", errc::invalid_argument,
             pointer + "/type");
      types.push_back(type.get<std::string>());
    }
    return types;
  }
  const auto has = [&](std::initializer_list<const char*> keywords) {
    return std::ranges::any_of(keywords, [&](const char* keyword) { return schema.contains(keyword); });
  };
  if (has({"properties", "required", "additionalProperties"})) types.emplace_back("object");
  if (has({"items", "prefixItems", "minItems", "maxItems", "additionalItems"})) types.emplace_back("array");
  if (has({"minLength", "maxLength", "pattern", "format"})) types.emplace_back("string");
  if (has({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})) types.emplace_back("number");
  if (types.empty()) types.emplace_back("value");
  return types;
}

expression_id schema_compiler::compile_type(const schema_json& schema, const std::string& type,
                                            const std::string& pointer) {
  if (type == "value") return shapes_.value();
  if (type == "object") return compile_object(schema, pointer);
  if (type == "array") return compile_array(schema, pointer);
  if (type == "string") return compile_string(schema, pointer);
  if (type == "boolean") return shapes_.boolean();
  if (type == "null") return shapes_.null();
  return compile_number(schema, type == "integer", pointer);
}

std::uint32_t schema_compiler::count_at(const schema_json& schema, const char* keyword, std::uint32_t otherwise,
                                        const std::string& pointer) const {
  const auto found = schema.find(keyword);
  if (found == schema.end()) return otherwise;
  const bool is_count = found->is_number_unsigned() ||
                        (found->is_number_float() && found->get<double>() >= 0 && found->get<double>() <= 1e9 &&
                         found->get<double>() == static_cast<double>(static_cast<std::uint32_t>(found->get<double>())));
  if (!is_count)
    fail(std::string(keyword) + " is a whole number from 0", errc::invalid_argument, pointer + "/" + keyword);
  const auto count = found->get<std::uint64_t>();
  if (count > max_repetition)
    fail(std::string(keyword) + " is bounded by " + std::to_string(max_repetition) + " at most", errc::too_large,
         pointer + "/" + keyword);
  return static_cast<std::uint32_t>(count);
}

}  // namespace troupe::grammar
