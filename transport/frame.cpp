#include "transport/frame.hpp"

#include "base/assert.hpp"

#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace troupe::transport {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

constexpr std::uint8_t magic[4] = {'T', 'R', 'P', 1};
constexpr std::size_t covered_bytes = 24;

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// Chained rather than streamed: two short hashes cost less than setting up a stream.
std::uint64_t checksum(const std::byte* header, std::span<const std::byte> payload) {
  const std::uint64_t of_header = XXH3_64bits(header, covered_bytes);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), of_header);
}

}  // namespace

std::string_view to_string(frame_error error) {
  switch (error) {
    case frame_error::none:
      return "none";
    case frame_error::too_short:
      return "too_short";
    case frame_error::wrong_magic:
      return "wrong_magic";
    case frame_error::wrong_version:
      return "wrong_version";
    case frame_error::unknown_type:
      return "unknown_type";
    case frame_error::wrong_length:
      return "wrong_length";
    case frame_error::too_large:
      return "too_large";
    case frame_error::wrong_checksum:
      return "wrong_checksum";
  }
  return "unknown";
}

void write_covered_header(std::byte* to, const frame_header& header) {
  std::memcpy(to, magic, sizeof magic);
  store(to + 4, frame_version);
  store(to + 5, static_cast<std::uint8_t>(header.type));
  store(to + 6, header.flags);
  store(to + 8, header.length);
  store(to + 12, header.epoch);
  store(to + 16, header.sequence);
}

void write_frame_header(std::span<std::byte> frame, frame_header header) {
  TROUPE_ASSERT(frame.size() >= frame_header_bytes && frame.size() <= frame_header_bytes + max_payload_bytes,
                "a frame has a header and at most 512 KiB");
  header.length = static_cast<std::uint32_t>(frame.size() - frame_header_bytes);
  write_covered_header(frame.data(), header);
  store(frame.data() + covered_bytes, checksum(frame.data(), frame.subspan(frame_header_bytes)));
}

parsed_frame parse_frame(std::span<const std::byte> frame) {
  parsed_frame parsed;
  const auto refuse = [&](frame_error error) {
    parsed.error = error;
    return parsed;
  };
  if (frame.size() < frame_header_bytes) return refuse(frame_error::too_short);
  const std::byte* const at = frame.data();
  if (std::memcmp(at, magic, sizeof magic) != 0) return refuse(frame_error::wrong_magic);
  if (load<std::uint8_t>(at + 4) != frame_version) return refuse(frame_error::wrong_version);
  const auto type = load<std::uint8_t>(at + 5);
  if (type < 1 || type > static_cast<std::uint8_t>(frame_type::message_part)) return refuse(frame_error::unknown_type);
  auto& header = parsed.header;
  header.type = static_cast<frame_type>(type);
  header.flags = load<std::uint16_t>(at + 6);
  header.length = load<std::uint32_t>(at + 8);
  header.epoch = load<std::uint32_t>(at + 12);
  header.sequence = load<std::uint64_t>(at + 16);
  if (header.length > max_payload_bytes) return refuse(frame_error::too_large);
  parsed.payload = frame.subspan(frame_header_bytes);
  if (parsed.payload.size() != header.length) return refuse(frame_error::wrong_length);
  if (load<std::uint64_t>(at + covered_bytes) != checksum(at, parsed.payload))
    return refuse(frame_error::wrong_checksum);
  return parsed;
}

}  // namespace troupe::transport
