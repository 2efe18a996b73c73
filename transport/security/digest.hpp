// SHA-256 and what is built from it: HMAC (RFC 2104) and HKDF (RFC 5869). A thin cover over OpenSSL that keeps its
// header out of the others; the only failure is OpenSSL's own (no memory, no such algorithm), and whoever meets it
// refuses.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace troupe::transport::security {

constexpr std::size_t digest_bytes = 32;
using digest256 = std::array<std::byte, digest_bytes>;

/// The bytes of a label or a name, without a terminating zero.
inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

result<digest256> sha256(std::span<const std::byte> bytes);

result<digest256> hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> bytes);

/// HKDF-SHA256, both steps: extract with `salt`, expand with `info` to fill `out`, at most 255 * 32 bytes.
result<> hkdf_sha256(std::span<const std::byte> key, std::span<const std::byte> salt, std::span<const std::byte> info,
                     std::span<std::byte> out);

/// Takes as long whatever the bytes are, so that a MAC cannot be guessed byte by byte.
bool equal_in_constant_time(std::span<const std::byte, digest_bytes> a, std::span<const std::byte, digest_bytes> b);

}  // namespace troupe::transport::security
