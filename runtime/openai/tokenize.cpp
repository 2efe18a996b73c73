#include "runtime/openai/tokenize.hpp"

#include "base/utf8.hpp"
#include "runtime/openai/json_fields.hpp"
#include "runtime/openai/json_text.hpp"
#include "runtime/openai/prompt.hpp"

#include <limits>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

struct tokenize_request {
  std::string model;
  std::string text;
  bool is_chat = false;
  chat_prompt chat;
  bool add_special_tokens = true;
  bool return_token_strs = false;
};

result<tokenize_request> parse_tokenize_request(const json& body, const request_limits& limits) {
  tokenize_request request;
  field_reader reader(body);
  reader.read("model", request.model, limits.name_bytes);
  reader.read("return_token_strs", request.return_token_strs);
  request.is_chat = reader.find("messages") != nullptr;
  if (request.is_chat) {
    read_chat_prompt(reader, limits, request.chat);
  } else if (reader.find("prompt") == nullptr) {
    reader.refuse("prompt", "/tokenize needs a prompt (a string) or messages (an array).");
  } else {
    reader.read("prompt", request.text, std::numeric_limits<std::size_t>::max());
    reader.read("add_special_tokens", request.add_special_tokens);
  }
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  return request;
}

std::string tokenize_body(const served_model& model, const std::vector<token_id>& tokens, bool with_strings) {
  std::string out = "{\"count\":";
  append_json_integer(out, static_cast<std::int64_t>(tokens.size()));
  out += ",\"max_model_len\":";
  append_json_integer(out, model.context_length);
  out += ",\"tokens\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    append_json_integer(out, tokens[i]);
  }
  out += "],\"token_strs\":";
  if (!with_strings) return out += "null}";
  out += '[';
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, repair_utf8(model.vocabulary->token_bytes(tokens[i])));
  }
  return out += "]}";
}

http::response with_body(std::string body) {
  http::response response;
  response.body = std::move(body);
  return response;
}

}  // namespace

result<http::response> tokenize(const json& body, const served_model& model, const request_limits& limits) {
  auto request = parse_tokenize_request(body, limits);
  if (!request) return request.error();
  if (const auto known = check_model_name(model, request->model); !known) return known.error();
  const auto prompt = request->is_chat ? encode_chat(model, request->chat)
                                       : encode_prompt(model, std::move(request->text), request->add_special_tokens);
  if (!prompt) return prompt.error();
  return with_body(tokenize_body(model, prompt->tokens, request->return_token_strs));
}

result<http::response> detokenize(const json& body, const served_model& model, const request_limits& limits) {
  field_reader reader(body);
  std::string name;
  reader.read("model", name, limits.name_bytes);
  std::vector<token_id> tokens;
  if (const json* list = reader.read_array("tokens", std::numeric_limits<std::size_t>::max())) {
    tokens = read_token_ids(reader, *list, "tokens");
  } else {
    reader.refuse("tokens", "/detokenize needs tokens, an array of token ids.");
  }
  if (const auto outcome = reader.outcome(); !outcome) return outcome.error();
  if (const auto known = check_model_name(model, name); !known) return known.error();
  auto prompt = encode_prompt(model, std::move(tokens), false);
  if (!prompt) {
    error failure = prompt.error();
    failure.param = "tokens";
    return failure;
  }
  std::string out = "{\"prompt\":";
  append_json_string(out, prompt->text);
  return with_body(out += '}');
}

}  // namespace troupe::openai
