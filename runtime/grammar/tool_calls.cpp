#include "runtime/grammar/tool_calls.hpp"

#include "runtime/grammar/automaton.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/json_schema.hpp"
#include "runtime/grammar/schema_merge.hpp"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::grammar {
namespace {

/// Whether the schema alone makes a grammar. Throws failure where nothing satisfies it or it is no schema.
bool is_read(const schema_json& schema) {
  try {
    build_automaton(parse_json_schema(schema.dump()));
    return true;
  } catch (const failure& failed) {
    if (failed.code == errc::unsupported || failed.code == errc::too_large) return false;
    throw;
  }
}

/// References inside a schema that now lies at `place` of a larger document.
void move_references(schema_json& schema, const std::string& place) {
  if (!schema.is_structured()) return;
  for (auto& [key, value] : schema.items()) {
    const bool is_data = schema.is_object() && (key == "const" || key == "enum" || key == "default");
    if (is_data) continue;
    if (schema.is_object() && key == "$ref" && value.is_string()) {
      const auto target = value.get<std::string>();
      if (target.starts_with('#')) value = "#" + place + target.substr(1);
    } else {
      move_references(value, place);
    }
  }
}

schema_json schema_of_call(const schema_json& tool, std::size_t index) {
  schema_json arguments = tool.value("parameters", schema_json::object());
  if (!arguments.contains("type")) arguments["type"] = "object";
  if (!is_read(arguments) && !tool.value("strict", false)) arguments = {{"type", "object"}};
  move_references(arguments, "/anyOf/" + std::to_string(index) + "/properties/arguments");
  return {{"type", "object"},
          {"properties", {{"name", {{"const", tool.at("name")}}}, {"arguments", std::move(arguments)}}},
          {"required", {"name", "arguments"}},
          {"additionalProperties", false}};
}

code_set all_but(std::vector<code_range> ranges) {
  return complement(normalized(std::move(ranges)));
}

code_range one(char c) {
  return {static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(c)};
}

/// Text without the opening mark, or up to it and then `calls`. A state for each beginning of the mark that was just
/// read; its first sign appears in it once, so a mismatch leads to the first state or the second (Knuth, Morris and
/// Pratt, 1977).
rule_id add_text(rule_set& rules, expression_id calls) {
  constexpr std::string_view mark = tool_call_begin;
  std::vector<rule_id> read;  // (mark.size()): so many signs of it
  for (std::size_t n = 0; n < mark.size(); ++n)
    read.push_back(rules.declare("text-" + std::to_string(n)));
  for (std::size_t n = 0; n < mark.size(); ++n) {
    const expression_id on = n + 1 < mark.size() ? rules.call(read[n + 1]) : calls;
    std::vector<expression_id> ways{rules.literal(""), rules.sequence({rules.literal(mark.substr(n, 1)), on})};
    std::vector<code_range> others{one(mark[n])};
    if (n > 0) {
      ways.push_back(rules.sequence({rules.literal(mark.substr(0, 1)), rules.call(read[1])}));
      others.push_back(one(mark[0]));
    }
    ways.push_back(rules.sequence({rules.character(all_but(std::move(others))), rules.call(read[0])}));
    rules.define(read[n], rules.choice(std::move(ways)));
  }
  return read[0];
}

schema_json parse(std::string_view json_text) {
  try {
    auto wanted = schema_json::parse(json_text);
    const auto& tools = wanted.at("tools");
    if (!tools.is_array() || tools.empty()) fail("a tool is needed for a call");
    for (const auto& tool : tools)
      if (!tool.at("name").is_string() || !tool.value("parameters", schema_json::object()).is_object())
        fail("a tool has a name and a schema of its parameters");
    return wanted;
  } catch (const schema_json::exception& failed) {
    fail("the tools are not described as JSON: " + std::string(failed.what()));
  }
}

}  // namespace

rule_set parse_tool_calls(std::string_view json_text) {
  const schema_json wanted = parse(json_text);
  schema_json calls = schema_json::array();
  for (const auto& tool : wanted.at("tools"))
    calls.push_back(schema_of_call(tool, calls.size()));
  rule_set rules = parse_json_schema(schema_json{{"anyOf", std::move(calls)}}.dump());
  const expression_id line_end = rules.optional(rules.literal("\n"));
  // From behind the opening mark of one call to behind the closing mark of the last.
  const expression_id body = rules.sequence({line_end, rules.call(rules.root), line_end, rules.literal(tool_call_end)});
  const expression_id further = rules.sequence({line_end, rules.literal(tool_call_begin), body});
  const expression_id all =
      wanted.value("parallel", true) ? rules.sequence({body, rules.repeat(further, 0, unbounded)}) : body;
  if (wanted.value("required", false)) {
    rules.root = rules.declare("calls");
    rules.define(rules.root, rules.sequence({rules.literal(tool_call_begin), all}));
  } else {
    rules.root = add_text(rules, all);
  }
  return rules;
}

}  // namespace troupe::grammar
