#include "runtime/openai/client_identity.hpp"

#include <algorithm>

#include <xxhash.h>

namespace troupe::openai {
namespace {

constexpr std::size_t max_request_id_bytes = 128;

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

bool starts_with_bearer(std::string_view text) {
  constexpr std::string_view scheme = "bearer ";
  return text.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), text.begin(), [](char want, char c) {
           return c == want || (c >= 'A' && c <= 'Z' && c - 'A' + 'a' == want);
         });
}

}  // namespace

bool equal_in_constant_time(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    difference |= static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]);
  return difference == 0;
}

result<std::string> authenticate(const http::request& request, const std::vector<std::string>& keys) {
  if (keys.empty()) return std::string{};
  const auto header = request.header("authorization");
  if (!header || !starts_with_bearer(*header))
    return make_error(errc::unauthenticated, "This server needs an API key, sent as \"Authorization: Bearer <key>\".");
  const std::string_view given = header->substr(std::string_view("bearer ").size());
  bool known = false;
  for (const auto& key : keys)
    known |= equal_in_constant_time(given, key);
  if (!known) return make_error(errc::unauthenticated, "The API key is not one of this server's.");
  return std::string(given);
}

std::string tenant_of(std::string_view key, std::string_view cache_salt) {
  if (key.empty() && cache_salt.empty()) return {};
  // Lengths in front, so that no key and salt run together into another pair.
  std::string both = std::to_string(key.size()) + ":";
  both.append(key).append(cache_salt);
  const XXH128_hash_t hash = XXH3_128bits(both.data(), both.size());
  return hex_id(hash.high64, hash.low64);
}

std::string request_id_of(const http::request& request, std::string fallback) {
  const auto given = request.header("x-request-id");
  if (!given || given->empty() || given->size() > max_request_id_bytes) return fallback;
  const bool clean = std::all_of(given->begin(), given->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._:-").find(c) != std::string_view::npos;
  });
  return clean ? std::string(*given) : fallback;
}

std::string traceparent_of(const http::request& request) {
  const auto given = request.header("traceparent");
  constexpr std::size_t size = 55;  // 2-32-16-2 digits and three dashes; later versions may append more after a dash
  if (!given || given->size() < size || given->size() > 128) return {};
  const std::string_view text = *given;
  const auto version = text.substr(0, 2), trace = text.substr(3, 32), parent = text.substr(36, 16),
             flags = text.substr(53, 2);
  const bool dashes = text[2] == '-' && text[35] == '-' && text[52] == '-';
  const bool hex = is_lower_hex(version) && is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(flags);
  const bool length = text.size() == size || (version != "00" && text[size] == '-');
  if (!dashes || !hex || !length || version == "ff" || all_zero(trace) || all_zero(parent)) return {};
  return std::string(text.substr(0, size));
}

std::string hex_id(std::uint64_t high, std::uint64_t low) {
  constexpr char digits[] = "0123456789abcdef";
  std::string id(32, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    id[15 - i] = digits[(high >> (4 * i)) & 0xF];
    id[31 - i] = digits[(low >> (4 * i)) & 0xF];
  }
  return id;
}

}  // namespace troupe::openai
