#include "runtime/openai/tools.hpp"

#include <limits>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

void read_tool(field_reader& reader, const json& tool, const std::string& name, std::set<std::string>& names) {
  if (!tool.is_object() || tool.value("type", json()) != "function")
    return reader.refuse(name, "A tool must be an object of type function.");
  const auto function = tool.find("function");
  if (function == tool.end() || !function->is_object() || !function->value("name", json()).is_string())
    return reader.refuse(name + ".function", "A tool's function must be an object with a name.");
  field_reader inner(*function, reader.path_of(name + ".function"));
  std::string description;
  bool strict = false;
  inner.read("description", description, std::numeric_limits<std::size_t>::max());
  inner.read("strict", strict);
  inner.read_object("parameters");
  const auto& called = function->at("name").get_ref<const std::string&>();
  if (called.empty()) inner.refuse("name", "A tool's name must not be empty.");
  if (!names.insert(called).second) inner.refuse("name", "Two tools have the name " + called + ".");
  if (!inner.ok()) reader.adopt(inner.outcome().error());
}

void read_choice(field_reader& reader, const json& choice, const std::set<std::string>& names, tool_set& tools) {
  constexpr std::string_view forms =
      "tool_choice must be none, auto, required or {\"type\": \"function\", \"function\": {\"name\": ...}}.";
  if (choice == "auto") return;
  tools.mode = choice == "none" ? tool_mode::none : tool_mode::required;
  if (choice == "none" || choice == "required") return;
  const json function = choice.is_object() ? choice.value("function", json()) : json();
  if (!function.is_object() || choice.value("type", json()) != "function" ||
      !function.value("name", json()).is_string())
    return reader.refuse("tool_choice", forms);
  tools.only = function.at("name").get<std::string>();
  if (!names.contains(tools.only))
    reader.refuse("tool_choice", "tool_choice names " + tools.only + ", which is none of tools.");
}

}  // namespace

void read_tools(field_reader& reader, const request_limits& limits, tool_set& tools, const json*& list) {
  const json* given = reader.read_array("tools", limits.tools);
  std::set<std::string> names;
  for (std::size_t i = 0; given != nullptr && i < given->size(); ++i)
    read_tool(reader, (*given)[i], "tools[" + std::to_string(i) + "]", names);
  if (!names.empty()) tools.mode = tool_mode::automatic;
  if (const json* choice = reader.find("tool_choice")) read_choice(reader, *choice, names, tools);
  if (tools.mode == tool_mode::required && names.empty())
    reader.refuse("tool_choice", "tool_choice asks for a call, but there are no tools.");
  reader.read("parallel_tool_calls", tools.parallel);
  list = tools.mode == tool_mode::none ? nullptr : given;
}

output_grammar grammar_of_calls(const tool_set& tools, const json& list) {
  json wanted{{"tools", json::array()},
              {"required", tools.mode == tool_mode::required},
              {"parallel", tools.parallel && tools.only.empty()}};
  for (const json& tool : list) {
    const json& function = tool.at("function");
    if (!tools.only.empty() && function.at("name") != tools.only) continue;
    json entry{{"name", function.at("name")}};
    for (const char* key : {"parameters", "strict"})
      if (const auto found = function.find(key); found != function.end() && !found->is_null()) entry[key] = *found;
    wanted["tools"].push_back(std::move(entry));
  }
  return {grammar_kind::tool_calls, wanted.dump()};
}

}  // namespace troupe::openai
