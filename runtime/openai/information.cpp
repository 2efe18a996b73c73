#include "runtime/openai/information.hpp"

#include "base/utf8.hpp"
#include "runtime/openai/json_text.hpp"

#include <algorithm>

namespace troupe::openai {
namespace {

http::response with_body(std::string body) {
  http::response response;
  response.body = std::move(body);
  return response;
}

void append_model(std::string& out, std::string_view name, std::string_view root, std::int64_t created,
                  std::uint32_t max_tokens) {
  out += "{\"id\":";
  append_json_string(out, name);
  out += ",\"object\":\"model\",\"created\":";
  append_json_integer(out, created);
  out += ",\"owned_by\":\"troupe\",\"root\":";
  append_json_string(out, root);
  out += ",\"parent\":null,\"max_model_len\":";
  append_json_integer(out, max_tokens);
  out += '}';
}

void append_model(std::string& out, const served_model& model, std::string_view name) {
  append_model(out, name, model.names.front(), model.created, model.context_length);
}

void append_model(std::string& out, const served_embeddings& embeddings, std::string_view name) {
  append_model(out, name, embeddings.names.front(), embeddings.created, embeddings.service->max_tokens());
}

}  // namespace

http::response list_models(const served_model& model, const served_embeddings& embeddings) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (const auto& name : model.names) {
    if (&name != &model.names.front()) out += ',';
    append_model(out, model, name);
  }
  for (const auto& name : embeddings.names) {
    out += ',';
    append_model(out, embeddings, name);
  }
  return with_body(out += "]}");
}

result<http::response> describe_model(const served_model& model, const served_embeddings& embeddings,
                                      std::string_view name) {
  std::string out;
  if (std::ranges::find(embeddings.names, name) != embeddings.names.end()) {
    append_model(out, embeddings, name);
    return with_body(std::move(out));
  }
  if (const auto known = check_model_name(model, name); !known) return known.error();
  append_model(out, model, name);
  return with_body(std::move(out));
}

http::response describe_tokenizer(const served_model& model) {
  const tokenizer& vocabulary = *model.vocabulary;
  std::string out = "{\"tokenizer_class\":\"byte_level_bpe\"";
  const auto append = [&](std::string_view name, std::optional<token_id> id) {
    out.append(",\"").append(name).append("\":");
    if (id) {
      append_json_string(out, repair_utf8(vocabulary.token_bytes(*id)));
    } else {
      out += "null";
    }
  };
  append("bos_token", vocabulary.bos());
  append("eos_token", vocabulary.eos());
  out += ",\"add_bos_token\":";
  out += vocabulary.adds_bos() ? "true" : "false";
  out += ",\"vocab_size\":";
  append_json_integer(out, vocabulary.vocabulary_size());
  out += ",\"model_max_length\":";
  append_json_integer(out, model.context_length);
  return with_body(out += '}');
}

http::response describe_version(std::string_view version) {
  std::string out = "{\"version\":";
  append_json_string(out, version);
  return with_body(out += '}');
}

result<http::response> describe_health(const service_status& status) {
  if (!status.ready) return make_error(errc::unavailable, "No worker can take a request at this moment.");
  std::string out = "{\"status\":\"ok\"";
  const auto append = [&](std::string_view name, std::uint64_t value) {
    out.append(",\"").append(name).append("\":");
    append_json_integer(out, static_cast<std::int64_t>(value));
  };
  append("workers", status.workers);
  append("requests_running", status.requests_running);
  append("requests_waiting", status.requests_waiting);
  append("kv_blocks_used", status.kv_blocks_used);
  append("kv_blocks_cached", status.kv_blocks_cached);
  append("kv_blocks_total", status.kv_blocks_total);
  append("prompt_tokens_total", status.prompt_tokens_total);
  append("generation_tokens_total", status.generation_tokens_total);
  append("prefix_cache_queries_total", status.prefix_cache_queries_total);
  append("prefix_cache_hits_total", status.prefix_cache_hits_total);
  return with_body(out += '}');
}

http::response describe_liveness() {
  return with_body("{\"status\":\"ok\"}");
}

}  // namespace troupe::openai
