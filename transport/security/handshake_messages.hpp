// The five messages of the handshake between two nodes, byte for byte. Nothing here allocates by a size off the wire: a
// message is at most 512 bytes, its fields have fixed places, and a byte too few or too many makes it malformed.
//
// Integers are little endian. Every message begins with "TRH" (54 52 48) and its type. An identity is
//
//   0   24  id of the node
//   24   1  purpose of the connection, the application's
//   25   1  n, length of the address
//   26   n  listening address, each byte 0x21..0x7e
//
//   hello      initiator -> responder, 82 + n bytes        challenge  responder -> initiator, 96 + n bytes
//     0   3  "TRH"                                           0      3  "TRH"
//     3   1  1                                               3      1  2
//     4   2  lowest protocol version, >= 1                   4      2  the version chosen, >= 1
//     6   2  highest protocol version, >= lowest             6     32  nonce_s
//     8  32  nonce_c                                        38   26+n  identity of the responder
//    40  16  SHA-256(cluster's name), first half            64+n   32  MAC("troupe server")
//    56 26+n  identity of the initiator
//
//   proof      initiator -> responder, 36 bytes            ready      responder -> initiator, 40 bytes
//     0   3  "TRH"                                           0   3  "TRH"
//     3   1  3                                               3   1  4
//     4  32  MAC("troupe client")                            4   4  epoch of the session
//                                                            8  32  MAC("troupe ready")
//   refuse     either way, 6 + n bytes
//     0   3  "TRH"
//     3   1  5
//     4   1  reason (refusal_reason.hpp); an unknown one reads as 0
//     5   1  n <= 200, 0 towards a node that has proven nothing yet
//     6   n  text for the other operator, each byte 0x20..0x7e
//
// MAC(label) = HMAC-SHA256(K, label || every byte of the handshake so far, those of this message before the MAC
// included). K is cluster_secret's 32 bytes. hello and refuse keep their layout in every version, so that a node too
// old or too new is told so.
#pragma once

#include "transport/security/node_identity.hpp"
#include "transport/security/refusal_reason.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace troupe::transport {

constexpr std::size_t longest_handshake_message = 512;

/// 32 bytes that were never used before and that nobody could guess.
using handshake_nonce = std::array<std::byte, 32>;

namespace security {

constexpr std::size_t mac_bytes = 32;
constexpr std::size_t longest_refusal_text = 200;

using cluster_hash = std::array<std::byte, 16>;
using mac = std::array<std::byte, mac_bytes>;

struct hello_message {
  std::uint16_t lowest_version = 0;
  std::uint16_t highest_version = 0;
  handshake_nonce nonce{};
  cluster_hash cluster{};
  node_identity sender;
};

struct challenge_message {
  std::uint16_t version = 0;
  handshake_nonce nonce{};
  node_identity sender;
  mac proof{};
};

struct proof_message {
  mac proof{};
};

struct ready_message {
  std::uint32_t epoch = 0;
  mac proof{};
};

struct refuse_message {
  refusal_reason reason = refusal_reason::unspecified;
  std::string text;
};

using handshake_message = std::variant<hello_message, challenge_message, proof_message, ready_message, refuse_message>;

/// The fields must keep the bounds above; that is asserted.
std::vector<std::byte> encode(const handshake_message& message);

/// nullopt: these bytes are no message of the handshake.
std::optional<handshake_message> parse_handshake_message(std::span<const std::byte> bytes);

/// Whether an address or a text has only bytes that may be sent; `first` is ' ' or '!'.
bool is_printable(std::string_view text, char first);

}  // namespace security
}  // namespace troupe::transport
