// The OpenAPI 3.1 description of the public port: openapi.json beside this file, with what only a running server knows
// put in (the models' names, the vocabulary's size, the limits). It is embedded at build time.
#pragma once

#include "runtime/openai/request_limits.hpp"
#include "runtime/openai/served_embeddings.hpp"
#include "runtime/openai/served_model.hpp"

#include <string>
#include <string_view>

namespace troupe::openai {

std::string make_openapi_document(const served_model& model, const served_embeddings& embeddings,
                                  const request_limits& limits, std::string_view version);

}  // namespace troupe::openai
