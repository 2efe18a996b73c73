// Names one run of one process: a restarted node is another node, and what was addressed to the old one is lost.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace troupe::transport {

/// 24 bytes: 20 random ones and the process id, as CAF's node ids have them.
struct node_id {
  std::array<std::byte, 24> bytes{};

  explicit operator bool() const { return *this != node_id{}; }
  friend auto operator<=>(const node_id&, const node_id&) = default;
};

/// The first 8 hexadecimal digits: enough for logs.
std::string to_string(const node_id& id);

}  // namespace troupe::transport

template <>
struct std::hash<troupe::transport::node_id> {
  std::size_t operator()(const troupe::transport::node_id& id) const noexcept {
    std::size_t random = 0;  // the id is random already
    std::memcpy(&random, id.bytes.data(), sizeof random);
    return random;
  }
};
