// POST /tokenize and /detokenize, in vLLM's shapes.
#pragma once

#include "runtime/http/server.hpp"
#include "runtime/openai/json_parse.hpp"
#include "runtime/openai/request_limits.hpp"
#include "runtime/openai/served_model.hpp"

namespace troupe::openai {

/// {"prompt": text} or {"messages": […]} -> {"count","max_model_len","tokens":[…],"token_strs":[…] or null}
result<http::response> tokenize(const json& body, const served_model& model, const request_limits& limits);

/// {"tokens": […]} -> {"prompt": text}
result<http::response> detokenize(const json& body, const served_model& model, const request_limits& limits);

}  // namespace troupe::openai
