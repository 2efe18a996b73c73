#include "transport/security/secret_bytes.hpp"

#include <openssl/crypto.h>

namespace troupe::transport {

void wipe(std::span<std::byte> bytes) {
  OPENSSL_cleanse(bytes.data(), bytes.size());
}

}  // namespace troupe::transport
