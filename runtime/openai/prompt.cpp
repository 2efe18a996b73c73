#include "runtime/openai/prompt.hpp"

#include "base/utf8.hpp"
#include "runtime/chat/chat_encoder.hpp"
#include "runtime/openai/tool_prompt.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

void add_begin(const tokenizer& vocabulary, encoded_prompt& prompt) {
  const auto begin = vocabulary.bos();
  prompt.begin_added = vocabulary.adds_bos() && begin.has_value();
  if (prompt.begin_added) prompt.tokens.insert(prompt.tokens.begin(), *begin);
}

}  // namespace

result<encoded_prompt> encode_prompt(const served_model& model, const prompt_input& input, bool add_special_tokens) {
  encoded_prompt prompt;
  if (const auto* text = std::get_if<std::string>(&input)) {
    prompt.tokens = model.vocabulary->encode(*text, special_tokens::parse);
    prompt.text = *text;
    if (add_special_tokens) add_begin(*model.vocabulary, prompt);
    return prompt;
  }
  prompt.tokens = std::get<std::vector<token_id>>(input);
  const auto size = model.vocabulary->vocabulary_size();
  for (const token_id id : prompt.tokens)
    if (static_cast<std::uint32_t>(id) >= size)
      return make_error(
          errc::invalid_argument,
          "The token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(size) + " tokens.",
          "prompt");
  prompt.text = repair_utf8(model.vocabulary->decode(prompt.tokens, true));
  return prompt;
}

result<encoded_prompt> encode_chat(const served_model& model, const chat_prompt& prompt) {
  if (!model.chat)
    return make_error(errc::unsupported, "This model has no chat template; use /v1/completions.", "messages");
  if (!model.chat_uses_tools) describe_tools(*prompt.context);
  auto encoded = troupe::encode_chat(*model.chat, *model.vocabulary, *prompt.context, prompt.continued);
  if (!encoded) {
    error failure = encoded.error();
    if (failure.param.empty()) failure.param = "messages";
    return failure;
  }
  encoded_prompt made{std::move(encoded->tokens), std::move(encoded->text)};
  if (prompt.add_special_tokens) add_begin(*model.vocabulary, made);
  return made;
}

}  // namespace troupe::openai
