// tools, tool_choice and parallel_tool_calls: what the model may call, and whether it must.
#pragma once

#include "base/generation.hpp"
#include "runtime/openai/json_fields.hpp"
#include "runtime/openai/request_limits.hpp"

#include <memory>
#include <string>

namespace troupe::openai {

enum class tool_mode : std::uint8_t { none, automatic, required };

struct tool_set {
  tool_mode mode = tool_mode::none;  // none too when there are no tools
  std::string only;                  // required: the one that must be called; empty: any
  bool parallel = true;              // more than one call may come
};

/// tools: the list as it came, for the template; null where none is to be used.
void read_tools(field_reader& reader, const request_limits& limits, tool_set& tools, const json*& list);

/// What holds the answer to calls that exist. list: as read.
output_grammar grammar_of_calls(const tool_set& tools, const json& list);

}  // namespace troupe::openai
