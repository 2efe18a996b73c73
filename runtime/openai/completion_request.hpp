// POST /v1/completions, parsed. Also the text form of a prompt.
#pragma once

#include "runtime/openai/generation_fields.hpp"

#include <string>
#include <variant>
#include <vector>

namespace troupe::openai {

using prompt_input = std::variant<std::string, std::vector<token_id>>;

struct completion_request {
  generation_fields common;
  std::vector<prompt_input> prompts;
  bool echo = false;
  bool add_special_tokens = true;
};

/// Without max_tokens an answer has 16 tokens, as OpenAI's.
inline constexpr std::uint32_t default_completion_tokens = 16;

result<completion_request> parse_completion_request(const json& body, const request_limits& limits,
                                                    generation_fields defaults);

/// A field that is one prompt or an array of at most `most`.
void read_prompts(field_reader& reader, const std::string& field, std::size_t most, std::vector<prompt_input>& prompts);

/// An array of token ids. Empty if it holds anything else; `reader` then has the error.
std::vector<token_id> read_token_ids(field_reader& reader, const json& list, const std::string& name);

}  // namespace troupe::openai
