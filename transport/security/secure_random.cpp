#include "transport/security/secure_random.hpp"

#include "base/failpoint.hpp"

#include <climits>

#include <openssl/rand.h>

namespace troupe::transport {

result<> fill_with_secure_random(std::span<std::byte> bytes) {
  TROUPE_ASSERT(bytes.size() <= INT_MAX, "OpenSSL counts random bytes in an int");
  const auto size = static_cast<int>(bytes.size());
  if (failpoint("security.random") || RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), size) != 1)
    return make_error(errc::internal,
                      "The system gave no secure random bytes; a node needs /dev/urandom or getrandom.");
  return {};
}

result<handshake_nonce> fresh_nonce() {
  handshake_nonce nonce;
  if (const auto filled = fill_with_secure_random(nonce); !filled) return filled.error();
  return nonce;
}

}  // namespace troupe::transport
