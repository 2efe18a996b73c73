// POST /v1/embeddings, parsed.
#pragma once

#include "base/embedding_service.hpp"
#include "base/result.hpp"
#include "runtime/openai/json_parse.hpp"
#include "runtime/openai/request_limits.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::openai {

enum class embedding_encoding : std::uint8_t { numbers, base64 };

struct embedding_request {
  std::string model;
  std::vector<embedding_input> inputs;  // at least one
  embedding_encoding encoding = embedding_encoding::numbers;
  std::uint32_t dimensions = 0;  // the first so many, brought to length 1 again; 0: all
  std::string user;
};

/// max_dimensions: those of the model.
result<embedding_request> parse_embedding_request(const json& body, const request_limits& limits,
                                                  std::uint32_t max_dimensions);

}  // namespace troupe::openai
