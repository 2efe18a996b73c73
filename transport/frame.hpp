// The unit that crosses a link: a header of 32 bytes and a payload. All numbers are little endian.
//
//   offset  bytes
//        0      4  magic "TRP\x01"
//        4      1  version of this layout
//        5      1  type (frame_type)
//        6      2  flags (frame_flags)
//        8      4  length of the payload in bytes, at most 512 KiB
//       12      4  epoch of the session; 0 before there is one
//       16      8  sequence: counts a session's frames in one direction from 1
//       24      8  checksum: XXH3-64 of the 24 bytes before and the payload
//       32         payload
//
// Sealed frames (between hosts) carry the payload as AES-256-GCM ciphertext and tag; the first 24 bytes of the header
// are authenticated with it. A frame that breaks any of this is dropped and counted, and its session ends.
#pragma once

#include "transport/wire/byte_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace troupe::transport {

inline constexpr std::size_t frame_header_bytes = 32;
inline constexpr std::size_t max_payload_bytes = std::size_t{512} << 10;
inline constexpr std::uint8_t frame_version = 1;

enum class frame_type : std::uint8_t {
  handshake = 1,    // security/handshake.hpp has the payload
  messages = 2,     // mesh.hpp: any number of messages, one after the other
  beat = 3,         // no payload: says that the sender is alive
  bye = 4,          // no payload: the sender closes the session in order
  bulk = 5,         // bulk_sender.hpp: bulk memory of sealed sessions
  message_part = 6  // outbox.hpp: of a message that is too long for one frame
};

namespace frame_flags {
inline constexpr std::uint16_t sealed = 1;
}

struct frame_header {
  frame_type type = frame_type::messages;
  std::uint16_t flags = 0;
  std::uint32_t length = 0;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;
};

enum class frame_error : std::uint8_t {
  none,
  too_short,
  wrong_magic,
  wrong_version,
  unknown_type,
  wrong_length,
  too_large,
  wrong_checksum
};
std::string_view to_string(frame_error error);

struct parsed_frame {
  frame_error error = frame_error::none;
  frame_header header;
  std::span<const std::byte> payload;
};

/// Checks everything that a frame alone can tell.
parsed_frame parse_frame(std::span<const std::byte> frame);

/// Writes the header, checksum included, into the first 32 bytes of a frame whose payload is in place.
void write_frame_header(std::span<std::byte> frame, frame_header header);
/// The 24 bytes that the checksum and the seal cover, for a payload of header.length bytes.
void write_covered_header(std::byte* to, const frame_header& header);

}  // namespace troupe::transport
