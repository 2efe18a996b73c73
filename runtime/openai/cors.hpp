// Cross-origin requests: which pages of other origins may read answers. Off unless origins are named.
#pragma once

#include "runtime/http/server.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

class cors_policy {
 public:
  /// Origins such as "https://example.org", or "*" for any.
  explicit cors_policy(std::vector<std::string> allowed_origins) : allowed_(std::move(allowed_origins)) {}

  /// What every response to this request carries; empty when the origin is not allowed or there is none.
  http::header_list headers_for(const http::request& request) const;
  /// A browser's question before the request itself, from an allowed origin.
  bool is_preflight(const http::request& request) const;
  /// Answer to it. `methods`: the route's.
  http::response preflight_response(const http::request& request, std::string_view methods) const;

 private:
  bool allows(std::string_view origin) const;

  std::vector<std::string> allowed_;
};

}  // namespace troupe::openai
