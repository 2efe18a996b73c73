#include "runtime/openai/chat_message.hpp"

#include "runtime/openai/json_fields.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

constexpr std::size_t any_length = std::numeric_limits<std::size_t>::max();  // the body's own limit holds
constexpr std::size_t max_tool_calls = 128;

void read_role(field_reader& reader, std::string& role) {
  constexpr std::array roles = {"system", "developer", "user", "assistant", "tool"};
  reader.read("role", role, any_length);
  if (std::find(roles.begin(), roles.end(), role) == roles.end())
    reader.refuse("role", "role must be system, developer, user, assistant or tool.");
}

void append_part(field_reader& reader, const json& part, const std::string& name, std::string& text) {
  if (!part.is_object()) return reader.refuse(name, "A part of content must be an object with a type.");
  const auto type = part.find("type");
  if (type == part.end() || !type->is_string())
    return reader.refuse(name + ".type", "A part of content must have a type.");
  const auto& kind = type->get_ref<const std::string&>();
  if (kind != "text")
    return reader.refuse(name + ".type", "Content parts of type " + kind + " are not supported; only text is.",
                         errc::unsupported);
  const auto value = part.find("text");
  if (value == part.end() || !value->is_string())
    return reader.refuse(name + ".text", "A text part must have a text that is a string.");
  text += value->get_ref<const std::string&>();
}

void read_content(field_reader& reader, std::string_view role, std::string& text) {
  const json* content = reader.find("content");
  if (content == nullptr) {
    if (role != "assistant") reader.refuse("content", "content must be a string or an array of text parts.");
    return;
  }
  if (content->is_string()) return reader.read("content", text, any_length);
  if (!content->is_array())
    return reader.refuse("content", "content must be a string or an array of text parts, but it is " +
                                        std::string(kind_of(*content)) + ".");
  if (content->empty()) return reader.refuse("content", "content must have at least one part.");
  for (std::size_t i = 0; i < content->size(); ++i) {
    if (i > 0) text += '\n';
    append_part(reader, (*content)[i], "content[" + std::to_string(i) + "]", text);
  }
}

result<json> read_tool_call(const json& call, const std::string& path) {
  if (!call.is_object()) return make_error(errc::invalid_argument, "A tool call must be an object.", path);
  field_reader reader(call, path);
  std::string id;
  reader.read("id", id, any_length);
  if (const json* type = reader.find("type"); type != nullptr && *type != "function")
    reader.refuse("type", "The type of a tool call must be function.");
  const json* function = reader.read_object("function");
  if (function == nullptr) {
    reader.refuse("function", "A tool call must have a function.");
    return reader.outcome().error();
  }
  field_reader inner(*function, path + ".function");
  std::string name;
  std::string arguments;
  inner.read("name", name, any_length);
  inner.read("arguments", arguments, any_length);
  if (name.empty()) inner.refuse("name", "The function of a tool call must have a name.");
  json parsed = json::object();
  if (inner.ok() && !arguments.empty()) {
    auto object = parse_json_object(arguments);
    if (object) {
      parsed = std::move(*object);
    } else {
      inner.refuse("arguments", "The arguments of a tool call must be a JSON object, written as a string.");
    }
  }
  if (!inner.ok()) reader.adopt(inner.outcome().error());
  if (!reader.ok()) return reader.outcome().error();
  return json{{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", std::move(parsed)}}}};
}

void read_tool_calls(field_reader& reader, json& out) {
  const json* calls = reader.read_array("tool_calls", max_tool_calls);
  if (calls == nullptr || calls->empty()) return;
  json list = json::array();
  for (std::size_t i = 0; i < calls->size(); ++i) {
    auto call = read_tool_call((*calls)[i], reader.path_of("tool_calls[" + std::to_string(i) + "]"));
    if (!call) return reader.adopt(call.error());
    list.push_back(std::move(*call));
  }
  out["tool_calls"] = std::move(list);
}

}  // namespace

result<json> read_chat_message(const json& message, const std::string& path) {
  if (!message.is_object())
    return make_error(errc::invalid_argument, "A message must be an object with role and content.", path);
  field_reader reader(message, path);
  std::string role;
  std::string content;
  read_role(reader, role);
  read_content(reader, role, content);
  json out{{"role", role == "developer" ? "system" : role}, {"content", std::move(content)}};
  const auto copy_text = [&](const char* name) {
    std::string text;
    reader.read(name, text, any_length);
    if (!text.empty()) out[name] = std::move(text);
  };
  copy_text("name");
  if (role == "tool") copy_text("tool_call_id");
  if (role == "assistant") read_tool_calls(reader, out);
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  return out;
}

}  // namespace troupe::openai
