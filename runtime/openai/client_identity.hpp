// Who asks: the API key, and the names that tie a request to the client's own logs and traces.
#pragma once

#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::openai {

/// True when the texts are equal; the time depends on their lengths only.
bool equal_in_constant_time(std::string_view left, std::string_view right);

/// The key of "Authorization: Bearer <key>" if it is one of `keys`; an empty one if there are no keys to check. All
/// keys are compared, so that the time does not tell which one was near.
result<std::string> authenticate(const http::request& request, const std::vector<std::string>& keys);

/// The salt of the prefix cache: clients with different keys, or different cache_salt fields, never share a block, so
/// that nobody can time what others asked. Empty, the shared tenant, when there is neither. Not reversible, but a short
/// key could be guessed from it: not for logs.
std::string tenant_of(std::string_view key, std::string_view cache_salt);

/// x-request-id if it is 1 to 128 characters of [A-Za-z0-9._:-], so that it can go into headers and log lines; else
/// `fallback`.
std::string request_id_of(const http::request& request, std::string fallback);

/// The header traceparent if it is valid (W3C Trace Context, version 00 to fe), else empty.
std::string traceparent_of(const http::request& request);

/// 32 hexadecimal digits.
std::string hex_id(std::uint64_t high, std::uint64_t low);

}  // namespace troupe::openai
