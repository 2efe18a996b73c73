#include "runtime/openai/cors.hpp"

#include <algorithm>

namespace troupe::openai {
namespace {

// The names of headers go back into a header, so they must be nothing else.
bool is_header_list(std::string_view text) {
  return text.size() <= 1024 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == ',' || c == ' ';
         });
}

}  // namespace

bool cors_policy::allows(std::string_view origin) const {
  return std::any_of(allowed_.begin(), allowed_.end(),
                     [&](const std::string& allowed) { return allowed == "*" || allowed == origin; });
}

http::header_list cors_policy::headers_for(const http::request& request) const {
  const auto origin = request.header("origin");
  if (!origin || !allows(*origin)) return {};
  return {{"Access-Control-Allow-Origin", std::string(*origin)},
          {"Vary", "Origin"},
          {"Access-Control-Expose-Headers", "x-request-id, retry-after"}};
}

bool cors_policy::is_preflight(const http::request& request) const {
  const auto origin = request.header("origin");
  return request.method == "OPTIONS" && origin && allows(*origin) && request.header("access-control-request-method");
}

http::response cors_policy::preflight_response(const http::request& request, std::string_view methods) const {
  http::response response;
  response.status = 204;
  response.content_type.clear();
  response.headers.emplace_back("Access-Control-Allow-Methods", methods);
  if (const auto wanted = request.header("access-control-request-headers"); wanted && is_header_list(*wanted))
    response.headers.emplace_back("Access-Control-Allow-Headers", *wanted);
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace troupe::openai
