// Parses and renders in one go: the text, or the error's message.
#pragma once

#include "runtime/template/chat_template.hpp"

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace troupe {

inline result<std::string> try_render(std::string_view source,
                                      const nlohmann::ordered_json& context = nlohmann::ordered_json::object(),
                                      std::size_t max_bytes = 8 << 20) {
  const auto parsed = chat_template::parse(source);
  if (!parsed) return parsed.error();
  return (*parsed)->render(context, max_bytes);
}

inline std::string render(std::string_view source,
                          const nlohmann::ordered_json& context = nlohmann::ordered_json::object()) {
  const auto text = try_render(source, context);
  return text ? *text : "error: " + text.error().message;
}

}  // namespace troupe
