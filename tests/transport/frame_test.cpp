// Frames: what is written is read, and nothing else passes for a frame.
#include "transport/frame.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

using namespace troupe;
using namespace troupe::transport;

namespace {

using frame_bytes = std::vector<std::byte>;

frame_bytes made_frame(const frame_header& header, std::size_t payload_bytes, std::uint64_t seed) {
  frame_bytes frame(frame_header_bytes + payload_bytes);
  random_stream random(seed);
  std::generate(frame.begin() + frame_header_bytes, frame.end(),
                [&] { return static_cast<std::byte>(random.below(256)); });
  write_frame_header(frame, header);
  return frame;
}

/// From memory of exactly this size, for AddressSanitizer.
frame_error error_of(std::span<const std::byte> frame) {
  const std::unique_ptr<std::byte[]> memory(new std::byte[frame.size()]);
  if (!frame.empty()) std::memcpy(memory.get(), frame.data(), frame.size());
  return parse_frame({memory.get(), frame.size()}).error;
}

frame_bytes with_byte(frame_bytes frame, std::size_t at, int value) {
  frame[at] = static_cast<std::byte>(value);
  return frame;
}

}  // namespace

TEST_CASE("a frame that was written is read as it was", "[frame]") {
  for (const auto type :
       {frame_type::handshake, frame_type::messages, frame_type::beat, frame_type::bye, frame_type::bulk}) {
    for (const std::size_t size : {0u, 1u, 31u, 32u, 33u, 8000u, 65536u}) {
      CAPTURE(static_cast<int>(type), size);
      const auto frame = made_frame({type, 1, 0, 0x01020304, 0x0102030405060708}, size, size);
      const auto parsed = parse_frame(frame);
      REQUIRE(parsed.error == frame_error::none);
      CHECK(parsed.header.type == type);
      CHECK(parsed.header.flags == 1);
      CHECK(parsed.header.length == size);
      CHECK(parsed.header.epoch == 0x01020304);
      CHECK(parsed.header.sequence == 0x0102030405060708);
      CHECK(std::ranges::equal(parsed.payload, std::span(frame).subspan(frame_header_bytes)));
    }
  }
}

TEST_CASE("the header's bytes are where the page says", "[frame]") {
  const auto frame = made_frame({frame_type::beat, 0x0201, 0, 0x06050403, 0x0e0d0c0b0a090807}, 3, 1);
  const int expected[] = {'T', 'R', 'P', 1, 1, 3, 1, 2, 3, 0, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    CAPTURE(i);
    CHECK(std::to_integer<int>(frame[i]) == expected[i]);
  }
  std::byte covered[24];
  write_covered_header(covered, {frame_type::beat, 0x0201, 3, 0x06050403, 0x0e0d0c0b0a090807});
  CHECK(std::memcmp(covered, frame.data(), sizeof covered) == 0);
}

TEST_CASE("every field that is wrong is named", "[frame]") {
  const auto frame = made_frame({frame_type::messages, 0, 0, 7, 1}, 100, 1);
  CHECK(error_of(frame) == frame_error::none);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(error_of(with_byte(frame, i, 0x55)) == frame_error::wrong_magic);
  for (const int version : {0, 2, 255})
    CHECK(error_of(with_byte(frame, 4, version)) == frame_error::wrong_version);
  for (const int type : {0, 7, 255})
    CHECK(error_of(with_byte(frame, 5, type)) == frame_error::unknown_type);
  CHECK(error_of(with_byte(frame, 8, 99)) == frame_error::wrong_length);
  CHECK(error_of(with_byte(frame, 8, 101)) == frame_error::wrong_length);
  CHECK(error_of(with_byte(frame, 11, 1)) == frame_error::too_large);  // 16 MiB and 100 bytes
  CHECK(error_of(with_byte(frame, 11, 255)) == frame_error::too_large);
  // What has no rule of its own is under the checksum: another type, flags, epoch, sequence, the checksum, the payload.
  CHECK(error_of(with_byte(frame, 5, 3)) == frame_error::wrong_checksum);
  for (const std::size_t i : {6u, 7u, 12u, 13u, 14u, 15u, 16u, 17u, 22u, 23u, 24u, 28u, 31u, 32u, 80u, 131u}) {
    CAPTURE(i);
    CHECK(error_of(with_byte(frame, i, std::to_integer<int>(frame[i]) ^ 0x10)) == frame_error::wrong_checksum);
  }
}

TEST_CASE("no bit may change and no byte may be missing", "[frame]") {
  const auto frame = made_frame({frame_type::bulk, 1, 0, 0xffffffff, 42}, 70, 2);
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    CAPTURE(bit);
    CHECK(error_of(with_byte(frame, bit / 8, std::to_integer<int>(frame[bit / 8]) ^ (1 << bit % 8))) !=
          frame_error::none);
  }
  for (std::size_t n = 0; n < frame.size(); ++n) {
    CAPTURE(n);
    CHECK(error_of(std::span(frame).first(n)) ==
          (n < frame_header_bytes ? frame_error::too_short : frame_error::wrong_length));
  }
  auto longer = frame;
  longer.push_back(std::byte{0});
  CHECK(error_of(longer) == frame_error::wrong_length);
}

TEST_CASE("the largest payload is 512 KiB", "[frame]") {
  frame_bytes frame(frame_header_bytes + max_payload_bytes);
  write_frame_header(frame, {});
  CHECK(parse_frame(frame).error == frame_error::none);
  frame.push_back(std::byte{0});
  CHECK_THROWS_AS(write_frame_header(frame, {}), std::logic_error);
  const auto length = static_cast<std::uint32_t>(max_payload_bytes + 1);
  std::memcpy(frame.data() + 8, &length, 4);
  CHECK(parse_frame(frame).error == frame_error::too_large);
}

TEST_CASE("every error has a name of its own", "[frame]") {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(frame_error::wrong_checksum); ++i)
    names.push_back(to_string(static_cast<frame_error>(i)));
  std::ranges::sort(names);
  CHECK(std::ranges::adjacent_find(names) == names.end());
}

TEST_CASE("addresses are read and written", "[frame][address]") {
  const auto check = [](std::string_view text, const std::string& host, int port) {
    const auto where = parse_address(text);
    REQUIRE(where.has_value());
    CHECK(where->host == host);
    CHECK(where->port == port);
    CHECK(to_string(*where) == text);
  };
  check("10.0.0.1:7100", "10.0.0.1", 7100);
  check("[::1]:0", "::1", 0);
  check("head.example:65535", "head.example", 65535);
  for (const auto text :
       {"", "host", ":7100", "host:", "host:-1", "host:65536", "host:7x", "::1:7100", "[]:1", "host: 1"})
    CHECK(!parse_address(text));
}

TEST_CASE("only what nobody else can reach is loopback", "[frame][address]") {
  for (const auto host : {"127.0.0.1", "127.255.0.9", "::1", "localhost", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"})
    CHECK(is_loopback(host));
  for (const auto host : {"", "128.0.0.1", "10.0.0.1", "127.example.org", "127.0.0.1.example.org", "127.", "127",
                          "::", "::2", "::ffff:10.0.0.1", "localhost.example.org", "0.0.0.0", " 127.0.0.1"})
    CHECK(!is_loopback(host));
}
