#include "runtime/openai/errors.hpp"

#include "base/utf8.hpp"
#include "runtime/openai/json_text.hpp"

namespace troupe::openai {
namespace {

// Overload is 429 and not 503, so that one client's burst does not make a load balancer take the server out.
// A missed deadline is 408: it was the client's own, and no server fault that should count against the server.
error_shape shape_of(errc code) {
  switch (code) {
    case errc::invalid_argument:
      return {400, "invalid_request_error", "invalid_value"};
    case errc::context_length_exceeded:
      return {400, "invalid_request_error", "context_length_exceeded"};
    case errc::unauthenticated:
      return {401, "authentication_error", "invalid_api_key"};
    case errc::not_found:
      return {404, "not_found_error", "not_found"};
    case errc::method_not_allowed:
      return {405, "invalid_request_error", "method_not_allowed"};
    case errc::too_large:
      return {413, "invalid_request_error", "request_too_large"};
    case errc::overloaded:
      return {429, "rate_limit_error", "queue_full"};
    case errc::unavailable:
      return {503, "overloaded_error", "service_unavailable"};
    case errc::deadline_exceeded:
      return {408, "overloaded_error", "deadline_exceeded"};
    case errc::cancelled:
      return {499, "invalid_request_error", "request_cancelled"};
    case errc::corrupt:
      return {400, "invalid_request_error", "malformed_request"};
    case errc::unsupported:
      return {400, "invalid_request_error", "unsupported_value"};
    case errc::internal:
      return {500, "server_error", "internal_error"};
  }
  return {500, "server_error", "internal_error"};
}

std::string body_of(std::string_view message, const error_shape& shape, std::string_view param) {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, repair_utf8(message));
  out += ",\"type\":";
  append_json_string(out, shape.type);
  out += ",\"param\":";
  if (param.empty()) {
    out += "null";
  } else {
    append_json_string(out, repair_utf8(param));
  }
  out += ",\"code\":";
  append_json_string(out, shape.code);
  out += "}}";
  return out;
}

http::response response_of(std::string body, const error_shape& shape) {
  http::response response;
  response.status = shape.status;
  response.body = std::move(body);
  if (shape.status == 429 || shape.status == 503) response.headers.emplace_back("Retry-After", "1");
  if (shape.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  // OpenAI's clients repeat a 408 by themselves; a deadline that has passed does not come back.
  if (shape.status == 408) response.headers.emplace_back("x-should-retry", "false");
  return response;
}

error_shape shape_of_status(int status) {
  switch (status) {
    case 404:
      return shape_of(errc::not_found);
    case 405:
      return shape_of(errc::method_not_allowed);
    case 408:
      return {408, "invalid_request_error", "request_timeout"};
    case 413:
      return shape_of(errc::too_large);
    case 429:
      return shape_of(errc::overloaded);
    case 431:
      return {431, "invalid_request_error", "headers_too_large"};
    case 503:
      return shape_of(errc::unavailable);
    default:
      break;
  }
  return status >= 500 ? error_shape{status, "server_error", "internal_error"}
                       : error_shape{status, "invalid_request_error", "malformed_request"};
}

}  // namespace

error_shape shape_of(const error& failure) {
  error_shape shape = shape_of(failure.code);
  if (failure.code == errc::not_found && failure.param == "model") shape.code = "model_not_found";
  return shape;
}

std::string error_body(const error& failure) {
  return body_of(failure.message, shape_of(failure), failure.param);
}

http::response error_response(const error& failure, std::string_view allowed_methods) {
  http::response response = response_of(error_body(failure), shape_of(failure));
  if (!allowed_methods.empty()) response.headers.emplace_back("Allow", allowed_methods);
  return response;
}

http::response format_server_refusal(int status, std::string_view message) {
  const error_shape shape = shape_of_status(status);
  return response_of(body_of(message, shape, {}), shape);
}

}  // namespace troupe::openai
