// How the bridge's messages begin; bridge.hpp has the bytes.
#pragma once

#include "transport/bridge/bridge.hpp"

#include <cstdint>

namespace troupe::transport {

enum class message_kind : std::uint8_t { letter = 1, monitor, down, link, unlink, resolve, resolved };

struct bridge::message_head {
  message_kind kind = message_kind::letter;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  std::uint32_t reserved_too = 0;
  std::uint64_t message_id = 0;
  std::uint64_t source = 0;
  std::uint64_t target = 0;
};

namespace letter_flags {
inline constexpr std::uint8_t has_path = 1;
inline constexpr std::uint8_t by_link = 2;
inline constexpr std::uint8_t has_sender = 4;
}  // namespace letter_flags

}  // namespace troupe::transport
