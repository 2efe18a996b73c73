// How a failure looks to a client: OpenAI's error object, and the one table that gives each errc its HTTP status, type
// and code.
#pragma once

#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <string>
#include <string_view>

namespace troupe::openai {

struct error_shape {
  int status;
  std::string_view type;
  std::string_view code;
};

/// The row of the table. An unknown model is told from an unknown route by its param, "model".
error_shape shape_of(const error& failure);

/// {"error":{"message":…,"type":…,"param":…,"code":…}}, all four always present. Bytes that are not UTF-8 become
/// U+FFFD.
std::string error_body(const error& failure);

/// The body with its status; 429 and 503 carry Retry-After, 401 names the scheme, 405 the methods when given.
http::response error_response(const error& failure, std::string_view allowed_methods = {});

/// What the HTTP server refuses by itself (malformed bytes, a body over the limit, …) in the same shape; its status
/// stays.
http::response format_server_refusal(int status, std::string_view message);

}  // namespace troupe::openai
