// What the endpoint knows of the model that makes embeddings.
#pragma once

#include "base/embedding_service.hpp"
#include "base/result.hpp"
#include "runtime/openai/served_model.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

struct served_embeddings {
  std::vector<std::string> names;              // the first is the model's own; at least one when there is a service
  std::shared_ptr<embedding_service> service;  // null: this server makes no embeddings
  std::int64_t created = 0;                    // seconds since 1970, for /v1/models
};

/// What a server without a service says.
error no_embeddings();

/// Success if embeddings can be asked of the model of this name. Empty means the one served. Errors, with param
/// "model": unsupported, if the name is that of `generates`; not_found.
result<> check_embedding_model(const served_embeddings& served, const served_model& generates, std::string_view name);

}  // namespace troupe::openai
