// One message of a chat as the template gets it: {"role", "content", …} with the content a plain string.
#pragma once

#include "runtime/openai/json_parse.hpp"

#include <string>

namespace troupe::openai {

/// Roles: system, developer (given to the template as system, since models know no other), user, assistant, tool.
/// Content: a string, or a list of
/// {"type":"text"} parts, joined by line breaks as vLLM does; for the assistant also null. An assistant's tool_calls
/// keep their shape, with the arguments as the object that their JSON says, since templates iterate over it. Errors
/// name the path.
result<json> read_chat_message(const json& message, const std::string& path);

}  // namespace troupe::openai
