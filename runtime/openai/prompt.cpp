#include "runtime/openai/prompt.hpp"

#include "base/utf8.hpp"

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

encoded_prompt encode_text(const served_model& model, std::string text, bool add_special_tokens) {
  const tokenizer& vocabulary = *model.vocabulary;
  encoded_prompt prompt;
  prompt.tokens = vocabulary.encode(text, special_tokens::parse);
  prompt.text = std::move(text);
  const auto begin = vocabulary.bos();
  prompt.begin_added = add_special_tokens && vocabulary.adds_bos() && begin.has_value();
  if (prompt.begin_added) prompt.tokens.insert(prompt.tokens.begin(), *begin);
  return prompt;
}

json token_text(const tokenizer& vocabulary, std::optional<token_id> id) {
  return id ? json(std::string(vocabulary.token_bytes(*id))) : json("");
}

// The prompt ends where the last message's text ends: whatever the template closes a message with is left off.
result<std::string> cut_after(std::string rendered, const std::string& last_text) {
  const auto at = rendered.rfind(last_text);
  if (at == std::string::npos)
    return make_error(errc::invalid_argument,
                      "continue_final_message needs a chat template that writes the last message as it is.",
                      "continue_final_message");
  rendered.resize(at + last_text.size());
  return rendered;
}

}  // namespace

result<encoded_prompt> encode_prompt(const served_model& model, const prompt_input& input, bool add_special_tokens) {
  if (const auto* text = std::get_if<std::string>(&input)) return encode_text(model, *text, add_special_tokens);
  encoded_prompt prompt;
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
  if (prompt.has_tools && !model.chat_uses_tools)
    return make_error(errc::unsupported,
                      "This model's chat template knows no tools; leave them out or set tool_choice to none.", "tools");
  json& context = *prompt.context;
  context["bos_token"] = token_text(*model.vocabulary, model.vocabulary->bos());
  context["eos_token"] = token_text(*model.vocabulary, model.vocabulary->eos());
  auto rendered = model.chat->render(context);
  if (rendered && prompt.continue_final_message) rendered = cut_after(*std::move(rendered), prompt.continued);
  if (!rendered) {
    error failure = rendered.error();
    if (failure.param.empty()) failure.param = "messages";
    return failure;
  }
  return encode_text(model, *std::move(rendered), prompt.add_special_tokens);
}

}  // namespace troupe::openai
