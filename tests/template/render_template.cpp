// Renders chat templates for the comparison with Python's jinja2 (oracle.py): one JSON object a line on standard input,
// {"template": …, "context": {…}}, and one a line back, {"text": …} or {"error": …}.
#include "runtime/template/chat_template.hpp"

#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

namespace {

nlohmann::json answer(const std::string& line) {
  const auto request = nlohmann::ordered_json::parse(line);
  const auto parsed = troupe::chat_template::parse(request.at("template").get<std::string>());
  if (!parsed) return {{"error", parsed.error().message}};
  const auto text = (*parsed)->render(request.at("context"));
  if (!text) return {{"error", text.error().message}};
  return {{"text", *text}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(line).dump() << '\n';
  return 0;
}
