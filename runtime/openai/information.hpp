// The answers that need no model: which models there are, the version, health.
#pragma once

#include "base/generation_service.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/served_embeddings.hpp"
#include "runtime/openai/served_model.hpp"

#include <string>
#include <string_view>

namespace troupe::openai {

http::response list_models(const served_model& model, const served_embeddings& embeddings);
result<http::response> describe_model(const served_model& model, const served_embeddings& embeddings,
                                      std::string_view name);

/// The special tokens' texts, as at vLLM's /tokenizer_info: with it and /tokenize, lm-eval needs no tokenizer of its
/// own.
http::response describe_tokenizer(const served_model& model);

/// {"version": …}, as vLLM has it.
http::response describe_version(std::string_view version);

/// The service's numbers of this moment; unavailable while no worker can take a request.
result<http::response> describe_health(const service_status& status);
/// Says that the process answers, and nothing of the model.
http::response describe_liveness();

}  // namespace troupe::openai
