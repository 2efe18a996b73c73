// The table of routes: the paths of the public port, their methods and who may call them. openapi.json describes the
// same; a test holds the two together.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::openai {

enum class route_id : std::uint8_t {
  chat_completions,
  completions,
  embeddings,
  models,
  model,
  tokenize,
  detokenize,
  tokenizer_info,
  version,
  health,
  health_live,
  health_ready,
  metrics,
  openapi
};

struct route {
  std::string_view path;    // "{id}" stands for the rest of the path
  std::string_view method;  // POST, or GET, which includes HEAD
  route_id id;
  bool needs_key;  // when keys are set
};

inline constexpr std::array routes{
    route{"/v1/chat/completions", "POST", route_id::chat_completions, true},
    route{"/v1/completions", "POST", route_id::completions, true},
    route{"/v1/embeddings", "POST", route_id::embeddings, true},
    route{"/v1/models", "GET", route_id::models, true},
    route{"/v1/models/{id}", "GET", route_id::model, true},
    route{"/tokenize", "POST", route_id::tokenize, true},
    route{"/detokenize", "POST", route_id::detokenize, true},
    route{"/tokenizer_info", "GET", route_id::tokenizer_info, true},
    route{"/version", "GET", route_id::version, false},
    route{"/health", "GET", route_id::health, false},
    route{"/health/live", "GET", route_id::health_live, false},
    route{"/health/ready", "GET", route_id::health_ready, false},
    route{"/metrics", "GET", route_id::metrics, true},
    route{"/openapi.json", "GET", route_id::openapi, true},
};

struct matched_route {
  const openai::route* route = nullptr;
  std::string_view rest;  // what {id} stood for
};

/// Slashes at the end do not matter. Nothing for a path that is none of the table's.
std::optional<matched_route> find_route(std::string_view path);

/// "GET, HEAD" or "POST": the value of Allow. OPTIONS is left out; it is answered only where CORS is on.
std::string_view allowed_methods(const route& matched);
bool allows(const route& matched, std::string_view method);

}  // namespace troupe::openai
