#include "runtime/openai/tool_prompt.hpp"

#include "runtime/grammar/tool_calls.hpp"

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

std::string write_call(const json& function) {
  return std::string(tool_call_begin) + function.dump() + std::string(tool_call_end);
}

std::string description_of(const json& tools) {
  std::string text = "You may call functions to answer. These exist, each with the JSON schema of its arguments:\n";
  for (const json& tool : tools)
    text += tool.at("function").dump() + "\n";
  text += "To call one, answer with a line of this form and nothing after it:\n";
  text += write_call({{"name", "the function"}, {"arguments", {{"its argument", "a value"}}}});
  return text;
}

json text_message(const std::string& role, std::string content) {
  return {{"role", role}, {"content", std::move(content)}};
}

/// A call is text again, and neighbouring answers of tools are one message of the user.
json rewritten(const json& messages) {
  json out = json::array();
  bool after_tool = false;
  for (const json& message : messages) {
    const auto& role = message.at("role").get_ref<const std::string&>();
    const bool is_tool = role == "tool";
    if (is_tool) {
      std::string answer = "<tool_response>\n" + message.at("content").get<std::string>() + "\n</tool_response>";
      if (after_tool)
        out.back()["content"] = out.back()["content"].get<std::string>() + "\n" + answer;
      else
        out.push_back(text_message("user", std::move(answer)));
    } else if (const auto calls = message.find("tool_calls"); calls != message.end()) {
      std::string text = message.at("content").get<std::string>();
      for (const json& call : *calls)
        text += (text.empty() ? "" : "\n") + write_call(call.at("function"));
      out.push_back(text_message(role, std::move(text)));
    } else {
      out.push_back(message);
    }
    after_tool = is_tool;
  }
  return out;
}

}  // namespace

void describe_tools(json& context) {
  json& messages = context.at("messages");
  messages = rewritten(messages);
  const auto tools = context.find("tools");
  if (tools == context.end()) return;
  std::string text = description_of(*tools);
  context.erase("tools");
  if (messages.front().at("role") == "system")
    messages.front()["content"] = messages.front().at("content").get<std::string>() + "\n\n" + text;
  else
    messages.insert(messages.begin(), text_message("system", std::move(text)));
}

}  // namespace troupe::openai
