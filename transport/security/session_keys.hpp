// The keys of one session, one for each direction, as seen from one of its ends: what one end sends with, the other
// receives with. Derivation, for those who write another end:
//
//   okm = HKDF-SHA256(key  = K,
//                     salt = nonce_c || nonce_s,                                     // 64 bytes
//                     info = "troupe session keys" || SHA-256(hello || challenge || proof || ready))
//
//   okm  0..31 key of initiator to responder    okm 32..63 key of responder to initiator
//   okm 64..67 salt of initiator to responder   okm 68..71 salt of responder to initiator
//
// There is no Diffie-Hellman in it: who records a session and later learns K can read it.
#pragma once

#include "base/result.hpp"
#include "transport/security/handshake_messages.hpp"
#include "transport/security/secret_bytes.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace troupe::transport {

/// For one direction: the key of AES-256-GCM and the first four bytes of every nonce.
struct traffic_key {
  secret_bytes<32> key;
  std::array<std::byte, 4> salt{};
};

struct session_keys {
  traffic_key sending;
  traffic_key receiving;
};

enum class session_end : unsigned char { initiator, responder };

/// `transcript`: the four messages, one after the other.
result<session_keys> derive_session_keys(std::span<const std::byte, 32> secret, const handshake_nonce& initiator_nonce,
                                         const handshake_nonce& responder_nonce, std::span<const std::byte> transcript,
                                         session_end end);

}  // namespace troupe::transport
