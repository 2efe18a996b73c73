// From a parsed prompt to token ids: render the chat template, encode, add the model's begin token.
// Cost: that of the tokenizer and the template, both linear in the text.
#pragma once

#include "runtime/openai/chat_request.hpp"
#include "runtime/openai/completion_request.hpp"
#include "runtime/openai/served_model.hpp"

#include <string>
#include <vector>

namespace troupe::openai {

struct encoded_prompt {
  std::vector<token_id> tokens;
  std::string text;          // what echo gives back: UTF-8, without a begin token that the client did not write
  bool begin_added = false;  // tokens[0] is the model's begin token and no part of the text
};

/// The names of control tokens in a prompt are those tokens, as in vLLM. Errors: a token outside the vocabulary.
result<encoded_prompt> encode_prompt(const served_model& model, const prompt_input& input, bool add_special_tokens);

/// Tools reach a template that knows none in the messages (tool_prompt.hpp). Errors: the model has no template, or what
/// the template itself raises.
result<encoded_prompt> encode_chat(const served_model& model, const chat_prompt& prompt);

}  // namespace troupe::openai
