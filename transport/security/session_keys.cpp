#include "transport/security/session_keys.hpp"

#include "transport/security/digest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::transport {

result<session_keys> derive_session_keys(std::span<const std::byte, 32> secret, const handshake_nonce& initiator_nonce,
                                         const handshake_nonce& responder_nonce, std::span<const std::byte> transcript,
                                         session_end end) {
  const auto hash = security::sha256(transcript);
  if (!hash) return hash.error();
  std::vector<std::byte> salt(initiator_nonce.begin(), initiator_nonce.end());
  salt.insert(salt.end(), responder_nonce.begin(), responder_nonce.end());
  const auto label = security::bytes_of("troupe session keys");
  std::vector<std::byte> info(label.begin(), label.end());
  info.insert(info.end(), hash->begin(), hash->end());

  secret_bytes<72> material;
  if (const auto made = security::hkdf_sha256(secret, salt, info, material.writable()); !made) return made.error();
  const std::span<const std::byte, 72> bytes = material.bytes();
  session_keys keys{{secret_bytes<32>(bytes.subspan<0, 32>()), {}}, {secret_bytes<32>(bytes.subspan<32, 32>()), {}}};
  std::ranges::copy(bytes.subspan<64, 4>(), keys.sending.salt.begin());
  std::ranges::copy(bytes.subspan<68, 4>(), keys.receiving.salt.begin());
  if (end == session_end::responder) std::swap(keys.sending, keys.receiving);
  return keys;
}

}  // namespace troupe::transport
