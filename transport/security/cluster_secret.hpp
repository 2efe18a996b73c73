// What the nodes of a cluster share and nobody else knows. It proves membership: whoever holds it may join.
//
// The file's content is the secret, so every node needs the same file, byte for byte. One rule for all forms: if every
// byte is printable ASCII, a line end (LF or CRLF) at the very end does not count, and there must be 64 characters or
// more if all are hexadecimal digits and 43 or more otherwise, which is what 32 random bytes take in hexadecimal and in
// base64; a file with any other byte is taken raw, whole, and must hold 32 bytes or more. K, the handshake's key, is
// the SHA-256 of the bytes that count.
//
// The file must be regular, at most 4 KiB, of mode 0600 or stricter, and belong to the user of this process or to root.
// A symbolic link is followed: what it leads to is what must keep these rules.
#pragma once

#include "base/result.hpp"
#include "transport/security/secret_bytes.hpp"

#include <cstddef>
#include <filesystem>
#include <span>

namespace troupe::transport {

constexpr std::size_t largest_secret_file = 4096;

class cluster_secret {
 public:
  /// The well-known key of a cluster that is bound to loopback only: it keeps the handshake the same everywhere and
  /// proves nothing.
  static cluster_secret none();
  /// By the rule above. invalid_argument when the bytes are too few or too much alike to be random, too_large above 4
  /// KiB.
  static result<cluster_secret> from(std::span<const std::byte> content);

  bool is_none() const { return is_none_; }
  std::span<const std::byte, 32> key() const { return key_.bytes(); }

 private:
  cluster_secret(std::span<const std::byte, 32> key, bool is_none) : key_(key), is_none_(is_none) {}

  secret_bytes<32> key_;
  bool is_none_;
};

/// not_found, unavailable (cannot be read), invalid_argument (not regular, owner, mode, content), too_large.
result<cluster_secret> read_cluster_secret(const std::filesystem::path& path);

/// A new file of mode 0600 with 32 fresh random bytes as 64 hexadecimal digits and a line end. invalid_argument when
/// the path exists already: a secret is never overwritten.
result<> create_cluster_secret(const std::filesystem::path& path);

}  // namespace troupe::transport
