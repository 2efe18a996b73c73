// Who a node says it is. Under a cluster secret the handshake proves that a node belongs to the cluster, not which of
// its nodes it is: every member holds the same secret.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::transport {

/// Longest listening address, in bytes.
constexpr std::size_t longest_address = 255;

struct node_identity {
  std::array<std::byte, 24> id{};
  std::string address;       // where it listens, printable ASCII without spaces; empty when it does not listen
  std::uint8_t purpose = 0;  // what the connection is for; the meaning is the caller's
  friend bool operator==(const node_identity&, const node_identity&) = default;
};

}  // namespace troupe::transport
