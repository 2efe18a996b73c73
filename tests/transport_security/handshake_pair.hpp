// What the handshake's tests share: two sides with seeded nonces, and a whole handshake between them, recorded.
#pragma once

#include "transport/security/handshake.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe::test {

using message_bytes = std::vector<std::byte>;

std::string to_hex(std::span<const std::byte> bytes);
message_bytes from_hex(std::string_view hex);

/// Seeded bytes where a live node has random ones.
transport::handshake_nonce seeded_nonce(std::uint64_t seed);
transport::cluster_secret seeded_secret(std::uint64_t seed);

/// Node 1 dials, node 2 listens; versions 1 to 3, cluster "alpha".
transport::handshake_options options_of_node(unsigned char node);

struct handshake_pair {
  transport::handshake initiator;
  transport::handshake responder;
};

/// Nonces are functions of the seed; both sides hold seeded_secret(1) unless told otherwise.
transport::handshake make_initiator(std::uint64_t seed, std::uint64_t secret = 1);
transport::handshake make_responder(std::uint64_t seed, std::uint64_t secret = 1);
handshake_pair make_pair(std::uint64_t seed);

/// The four messages of a good handshake, in the order they are sent.
enum message_index : std::size_t { hello, challenge, proof, ready, n_messages };
struct recording {
  std::array<message_bytes, n_messages> messages;
};

/// Runs the pair to the end and demands that both sides are established.
recording run_to_end(handshake_pair& pair);

}  // namespace troupe::test
