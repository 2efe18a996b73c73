#include "transport/security/digest.hpp"

#include "base/failpoint.hpp"
#include "transport/security/secret_bytes.hpp"

#include <algorithm>
#include <climits>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace troupe::transport::security {
namespace {

const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

result<digest256> sha256(std::span<const std::byte> bytes) {
  digest256 digest;
  unsigned int size = 0;
  auto* out = reinterpret_cast<unsigned char*>(digest.data());
  if (failpoint("security.sha256") || EVP_Digest(bytes.data(), bytes.size(), out, &size, EVP_sha256(), nullptr) != 1 ||
      size != digest.size())
    return make_error(errc::internal, "OpenSSL refused to compute a SHA-256.");
  return digest;
}

result<digest256> hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> bytes) {
  TROUPE_ASSERT(key.size() <= INT_MAX, "OpenSSL counts the bytes of a key in an int");
  digest256 mac;
  unsigned int size = 0;
  auto* out = reinterpret_cast<unsigned char*>(mac.data());
  if (failpoint("security.hmac") ||
      HMAC(EVP_sha256(), raw(key), static_cast<int>(key.size()), raw(bytes), bytes.size(), out, &size) == nullptr ||
      size != mac.size())
    return make_error(errc::internal, "OpenSSL refused to compute an HMAC-SHA256.");
  return mac;
}

result<> hkdf_sha256(std::span<const std::byte> key, std::span<const std::byte> salt, std::span<const std::byte> info,
                     std::span<std::byte> out) {
  TROUPE_ASSERT(out.size() <= 255 * digest_bytes, "HKDF-SHA256 gives at most 255 blocks");
  auto extracted = hmac_sha256(salt, key);
  if (!extracted) return extracted.error();
  const secret_bytes<digest_bytes> pseudorandom_key(*extracted);
  wipe(*extracted);
  // T(i) = HMAC(prk, T(i - 1) | info | i), with T(0) empty.
  std::vector<std::byte> input;
  input.reserve(digest_bytes + info.size() + 1);  // so that no secret stays behind in a block given back
  for (unsigned char i = 1; !out.empty(); ++i) {
    input.insert(input.end(), info.begin(), info.end());
    input.push_back(std::byte{i});
    auto block = hmac_sha256(pseudorandom_key.bytes(), input);
    wipe(input);
    if (!block) return block.error();
    const std::size_t n = std::min(out.size(), digest_bytes);
    std::copy_n(block->begin(), n, out.begin());
    out = out.subspan(n);
    input.assign(block->begin(), block->end());
    wipe(*block);
  }
  wipe(input);
  return {};
}

bool equal_in_constant_time(std::span<const std::byte, digest_bytes> a, std::span<const std::byte, digest_bytes> b) {
  return CRYPTO_memcmp(a.data(), b.data(), digest_bytes) == 0;
}

}  // namespace troupe::transport::security
