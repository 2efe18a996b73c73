#include "runtime/openai/chat_request.hpp"

#include "runtime/openai/chat_message.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

void read_messages(field_reader& reader, const request_limits& limits, json& messages) {
  const json* list = reader.read_array("messages", limits.messages);
  if (list == nullptr) return reader.refuse("messages", "messages must be an array of at least one message.");
  if (list->empty()) return reader.refuse("messages", "messages must have at least one message.");
  messages = json::array();
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto message = read_chat_message((*list)[i], reader.path_of("messages[" + std::to_string(i) + "]"));
    if (!message) return reader.adopt(message.error());
    messages.push_back(std::move(*message));
  }
}

void read_template_arguments(field_reader& reader, json& context) {
  const json* arguments = reader.read_object("chat_template_kwargs");
  if (arguments == nullptr) return;
  constexpr std::array own = {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token"};
  for (const auto& [key, value] : arguments->items()) {
    if (std::find(own.begin(), own.end(), key) != own.end())
      return reader.refuse("chat_template_kwargs." + key, "chat_template_kwargs cannot set " + key + ".");
    context[key] = value;
  }
}

void read_continuation(field_reader& reader, chat_prompt& prompt) {
  std::optional<bool> add_generation_prompt;
  if (reader.find("add_generation_prompt") != nullptr)
    reader.read("add_generation_prompt", add_generation_prompt.emplace());
  bool continues = false;
  reader.read("continue_final_message", continues);
  (*prompt.context)["add_generation_prompt"] = add_generation_prompt.value_or(!continues);
  if (!continues || !reader.ok()) return;
  if (add_generation_prompt.value_or(false))
    return reader.refuse("continue_final_message",
                         "continue_final_message and add_generation_prompt cannot both be true.");
  const json& last = (*prompt.context)["messages"].back();
  prompt.continued = last["content"].get<std::string>();
  if (last["role"] != "assistant" || prompt.continued->empty())
    reader.refuse("continue_final_message",
                  "continue_final_message needs a last message of the assistant with a text.");
}

void read_lengths(field_reader& reader, generation_fields& common) {
  // max_completion_tokens is the newer name; where both are given it counts, as at OpenAI's.
  reader.read("max_tokens", common.max_tokens, 1, std::numeric_limits<std::int32_t>::max());
  reader.read("max_completion_tokens", common.max_tokens, 1, std::numeric_limits<std::int32_t>::max());
}

void read_call_grammar(field_reader& reader, chat_request& request) {
  if (!reader.ok() || request.prompt.tools.mode == tool_mode::none) return;
  generation_fields& common = request.common;
  if (!common.grammar_field.empty())
    return reader.refuse("tools", "tools and " + common.grammar_field + " cannot go together; set tool_choice to none.",
                         errc::unsupported);
  common.sampling.grammar = grammar_of_calls(request.prompt.tools, (*request.prompt.context)["tools"]);
  common.grammar_field = "tools";
}

void read_logprobs(field_reader& reader, const request_limits& limits, chat_request& request) {
  reader.read("logprobs", request.logprobs);
  reader.read("top_logprobs", request.top_logprobs, 0, limits.logprobs);
  if (request.top_logprobs > 0 && !request.logprobs)
    reader.refuse("top_logprobs", "top_logprobs is only allowed when logprobs is true.");
  if (request.logprobs) request.common.sampling.logprobs = request.top_logprobs;
}

void read_modalities(field_reader& reader) {
  const json* modalities = reader.read_array("modalities", 8);
  if (modalities == nullptr) return;
  for (const json& modality : *modalities)
    if (modality != "text") reader.refuse("modalities", "modalities can only be text.", errc::unsupported);
}

}  // namespace

void read_chat_prompt(field_reader& reader, const request_limits& limits, chat_prompt& prompt) {
  prompt.context = std::make_shared<json>(json::object());
  json& context = *prompt.context;
  read_messages(reader, limits, context["messages"]);
  const json* tools = nullptr;
  read_tools(reader, limits, prompt.tools, tools);
  if (tools != nullptr) context["tools"] = *tools;
  read_template_arguments(reader, context);
  reader.read("add_special_tokens", prompt.add_special_tokens);
  if (reader.ok()) read_continuation(reader, prompt);
}

result<chat_request> parse_chat_request(const json& body, const request_limits& limits, generation_fields defaults) {
  chat_request request;
  request.common = std::move(defaults);
  field_reader reader(body);
  read_chat_prompt(reader, limits, request.prompt);
  read_generation_fields(reader, limits, request.common);
  read_call_grammar(reader, request);
  read_lengths(reader, request.common);
  read_logprobs(reader, limits, request);
  read_modalities(reader);
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  return request;
}

}  // namespace troupe::openai
