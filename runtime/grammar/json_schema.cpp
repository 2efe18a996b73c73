#include "runtime/grammar/json_schema.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/rule_analysis.hpp"
#include "runtime/grammar/schema_compiler.hpp"

#include <string>

namespace troupe::grammar {
namespace {

constexpr std::size_t max_members = 8192;  // of all objects: a parsed object is searched member by member

// One pass over the bytes outside strings, before a tree is built; what is malformed the parser refuses.
void check_bounds(std::string_view text) {
  if (text.size() > max_source_bytes)
    fail_too_large("the schema is longer than " + std::to_string(max_source_bytes) + " bytes");
  int depth = 0;
  std::size_t n_members = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_source_nesting)
        fail_too_large("the schema is nested deeper than " + std::to_string(max_source_nesting) + " levels");
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ':' && ++n_members > max_members) {
      fail_too_large("the schema has more than " + std::to_string(max_members) + " members");
    }
  }
}

}  // namespace

rule_set parse_json_schema(std::string_view json_text) {
  check_bounds(json_text);
  schema_json document;
  try {
    document = schema_json::parse(json_text);
  } catch (const schema_json::exception& failed) {
    std::string_view what = failed.what();
    if (const auto bracket = what.find("] "); bracket != std::string_view::npos) what.remove_prefix(bracket + 2);
    fail("the schema is not JSON: " + std::string(what));
  }
  rule_set rules = schema_compiler(document).run();
  if (const rule_id id = find_left_recursion(rules); id != nothing)
    fail("the schema \"#" + (rules.rule_at(id).name == "root" ? std::string() : rules.rule_at(id).name) +
             "\" refers to itself without end",
         errc::unsupported);
  return rules;
}

rule_set any_json_object() {
  rule_set rules;
  json_shapes shapes(rules);
  const expression_id object = shapes.object();
  rules.root = rules.at(object).rule;
  return rules;
}

}  // namespace troupe::grammar
