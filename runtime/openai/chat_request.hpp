// POST /v1/chat/completions, parsed: OpenAI's fields and those that vLLM added. Also the chat form of /tokenize.
//
// Unknown fields are ignored, as OpenAI's and vLLM's servers do, since SDKs add their own. Fields known to change the
// answer that this version does not act on are refused (generation_fields.hpp).
#pragma once

#include "runtime/openai/generation_fields.hpp"
#include "runtime/openai/tools.hpp"

#include <memory>
#include <optional>
#include <string>

namespace troupe::openai {

/// What the chat template gets, and what is done with its text.
struct chat_prompt {
  std::shared_ptr<json> context;  // messages, tools, add_generation_prompt and the members of chat_template_kwargs
  tool_set tools;
  bool add_special_tokens = false;       // the template writes them
  std::optional<std::string> continued;  // continue_final_message: the prompt ends with this text of the last message
};

struct chat_request {
  generation_fields common;
  chat_prompt prompt;
  bool logprobs = false;
  std::int32_t top_logprobs = 0;
};

result<chat_request> parse_chat_request(const json& body, const request_limits& limits, generation_fields defaults);

/// messages, tools, tool_choice, add_generation_prompt, continue_final_message, add_special_tokens,
/// chat_template_kwargs.
void read_chat_prompt(field_reader& reader, const request_limits& limits, chat_prompt& prompt);

}  // namespace troupe::openai
