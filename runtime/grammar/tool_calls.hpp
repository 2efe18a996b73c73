// Answers that may call tools, or must: text, then calls as Hermes and Qwen models write them,
//
//   <tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>
//
// with the name and the arguments held to the tools' schemas. Text before the first call never contains the opening
// mark, so whoever reads the answer knows a call when it begins.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <string_view>

namespace troupe {

inline constexpr std::string_view tool_call_begin = "<tool_call>";
inline constexpr std::string_view tool_call_end = "</tool_call>";

namespace grammar {

/// json_text: {"tools": [{"name": str, "parameters": schema, "strict": bool}, ...], "required": bool, "parallel":
/// bool}. required: at least one call and no text; parallel: more than one call. A tool that is not strict and whose
/// schema has keywords that are not read takes any object as its arguments. Throws failure.
rule_set parse_tool_calls(std::string_view json_text);

}  // namespace grammar
}  // namespace troupe
