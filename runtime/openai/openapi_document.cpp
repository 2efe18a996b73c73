#include "runtime/openai/openapi_document.hpp"

#include "runtime/openai/json_text.hpp"

namespace troupe::openai {

extern const unsigned char openapi_json[];
extern const std::size_t openapi_json_size;

namespace {

// Replaces the string "@name@", quotes included, by a JSON value.
void put(std::string& document, std::string_view name, std::string_view value) {
  const std::string placeholder = "\"@" + std::string(name) + "@\"";
  for (auto at = document.find(placeholder); at != std::string::npos;
       at = document.find(placeholder, at + value.size()))
    document.replace(at, placeholder.size(), value);
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

std::string make_openapi_document(const served_model& model, const served_embeddings& embeddings,
                                  const request_limits& limits, std::string_view version) {
  std::string document(reinterpret_cast<const char*>(openapi_json), openapi_json_size);
  const auto names_of = [](const std::vector<std::string>& names) {
    std::string out = "[null";
    for (const auto& name : names)
      out += "," + quoted(name);
    return out + "]";
  };
  put(document, "model_names", names_of(model.names));
  put(document, "embedding_model_names", names_of(embeddings.names));
  put(document, "max_embedding_token_id",
      std::to_string(embeddings.service ? embeddings.service->vocabulary_size() - 1 : 0));
  put(document, "max_embedding_tokens", std::to_string(embeddings.service ? embeddings.service->max_tokens() : 1));
  put(document, "max_dimensions", std::to_string(embeddings.service ? embeddings.service->dimensions() : 1));
  put(document, "max_embedding_inputs", std::to_string(limits.embedding_inputs));
  put(document, "version", quoted(version));
  put(document, "max_token_id", std::to_string(model.vocabulary->vocabulary_size() - 1));
  put(document, "max_n", std::to_string(limits.n));
  put(document, "max_stop", std::to_string(limits.stop_strings));
  put(document, "max_stop_tokens", std::to_string(limits.stop_tokens));
  put(document, "max_logit_bias", std::to_string(limits.logit_bias));
  put(document, "max_logprobs", std::to_string(limits.logprobs));
  put(document, "max_messages", std::to_string(limits.messages));
  put(document, "max_tools", std::to_string(limits.tools));
  put(document, "max_prompts", std::to_string(limits.prompts));
  return document;
}

}  // namespace troupe::openai
