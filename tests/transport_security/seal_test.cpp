// The seal: published vectors of AES-256-GCM, and everything that an opener must refuse.
#include "transport/security/seal.hpp"

#include "base/failpoint.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "handshake_pair.hpp"
#include "openssl_allocations.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

traffic_key key_of(std::string_view key_hex, std::string_view salt_hex) {
  traffic_key key;
  std::ranges::copy(from_hex(key_hex), key.key.writable().begin());
  std::ranges::copy(from_hex(salt_hex), key.salt.begin());
  return key;
}

traffic_key seeded_key(std::uint64_t seed) {
  const auto bytes = seeded_nonce(seed);
  traffic_key key{secret_bytes<32>(std::span(bytes)), {}};
  std::copy_n(bytes.begin(), 4, key.salt.begin());
  return key;
}

message_bytes seeded_bytes(std::uint64_t seed, std::size_t size) {
  random_stream random(seed);
  message_bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
  return bytes;
}

message_bytes sealed(sealer& with, std::uint64_t sequence, const message_bytes& aad, const message_bytes& plain) {
  message_bytes out(plain.size() + seal_tag_bytes);
  REQUIRE(with.seal(sequence, aad, plain, out).has_value());
  return out;
}

std::optional<message_bytes> opened(opener& with, std::uint64_t sequence, const message_bytes& aad,
                                    const message_bytes& frame) {
  message_bytes out(frame.size() < seal_tag_bytes ? 0 : frame.size() - seal_tag_bytes, std::byte{0x77});
  if (with.open(sequence, aad, frame, out)) return out;
  CHECK(std::ranges::all_of(out, [](std::byte byte) { return byte == std::byte{0}; }));
  return std::nullopt;
}

}  // namespace

// Test cases 13, 14 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation".
TEST_CASE("AES-256-GCM agrees with its published vectors", "[security][seal]") {
  const std::string zero_key(64, '0');
  auto zero = *sealer::make(key_of(zero_key, "00000000"));
  CHECK(to_hex(sealed(zero, 0, {}, {})) == "530f8afbc74536b9a963b4f1c4cb738b");
  auto zero_again = *sealer::make(key_of(zero_key, "00000000"));
  CHECK(to_hex(sealed(zero_again, 0, {}, message_bytes(16))) ==
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");

  const auto key = key_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabe");
  const auto plain = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  const auto aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  auto with = *sealer::make(key);
  const auto frame = sealed(with, 0xfacedbaddecaf888, aad, plain);
  CHECK(
      to_hex(frame) ==
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
      "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
  auto back = *opener::make(key);
  CHECK(opened(back, 0xfacedbaddecaf888, aad, frame) == plain);
}

TEST_CASE("what is sealed opens to the same bytes, in place too", "[security][seal]") {
  auto with = *sealer::make(seeded_key(1)), in_place = *sealer::make(seeded_key(1));
  auto back = *opener::make(seeded_key(1)), back_in_place = *opener::make(seeded_key(1));
  std::uint64_t sequence = 0;
  for (const std::size_t size : {0, 1, 15, 16, 17, 31, 255, 4096, 65537, 1 << 20}) {
    for (const std::size_t aad_size : {0, 24, 100}) {
      CAPTURE(size, aad_size);
      const auto plain = seeded_bytes(size, size), aad = seeded_bytes(aad_size + 7, aad_size);
      const auto frame = sealed(with, ++sequence, aad, plain);
      message_bytes buffer = plain;
      buffer.resize(size + seal_tag_bytes);
      REQUIRE(in_place.seal(sequence, aad, std::span(buffer).first(size), buffer).has_value());
      CHECK(buffer == frame);
      CHECK(opened(back, sequence, aad, frame) == plain);
      REQUIRE(back_in_place.open(sequence, aad, buffer, std::span(buffer).first(size)));
      CHECK(std::equal(plain.begin(), plain.end(), buffer.begin()));
    }
  }
}

TEST_CASE("a session's two directions do not open each other's frames", "[security][seal]") {
  handshake_pair pair = test::make_pair(1);
  run_to_end(pair);
  auto from_initiator = *sealer::make(pair.initiator.keys().sending);
  auto to_responder = *opener::make(pair.responder.keys().receiving);
  auto to_initiator = *opener::make(pair.initiator.keys().receiving);
  const auto frame = sealed(from_initiator, 1, {}, seeded_bytes(1, 100));
  CHECK(!opened(to_initiator, 1, {}, frame));
  CHECK(opened(to_responder, 1, {}, frame) == seeded_bytes(1, 100));
}

TEST_CASE("an opener takes each sequence once and in order", "[security][seal]") {
  auto with = *sealer::make(seeded_key(1));
  auto back = *opener::make(seeded_key(1));
  std::vector<message_bytes> frames;
  for (std::uint64_t sequence = 0; sequence < 1000; ++sequence)
    frames.push_back(sealed(with, sequence, {}, seeded_bytes(sequence, 20)));
  for (std::uint64_t sequence = 0; sequence < frames.size(); sequence += 3) {  // gaps are allowed
    CHECK(!opened(back, sequence + 1, {}, frames[sequence]));                  // not that frame's number
    CHECK(opened(back, sequence, {}, frames[sequence]) == seeded_bytes(sequence, 20));
    for (std::uint64_t old = sequence < 5 ? 0 : sequence - 5; old <= sequence; ++old)
      CHECK(!opened(back, old, {}, frames[old]));
  }
  CHECK(!opened(back, UINT64_MAX, {}, frames[0]));
}

TEST_CASE("no bit of a frame, its aad or its sequence may change", "[security][seal]") {
  auto with = *sealer::make(seeded_key(1));
  auto back = *opener::make(seeded_key(1));
  const auto plain = seeded_bytes(1, 40), aad = seeded_bytes(2, 24);
  const auto frame = sealed(with, 1, aad, plain);
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    auto changed = frame;
    changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    CHECK(!opened(back, 1, aad, changed));
  }
  for (std::size_t bit = 0; bit < 8 * aad.size(); ++bit) {
    auto changed = aad;
    changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    CHECK(!opened(back, 1, changed, frame));
  }
  for (unsigned bit = 0; bit < 64; ++bit)
    CHECK(!opened(back, 1 ^ (std::uint64_t{1} << bit), aad, frame));
  for (std::size_t size = 0; size < frame.size(); ++size)
    CHECK(!opened(back, 1, aad, {frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)}));
  CHECK(!opened(back, 1, {}, frame));
  auto longer = frame;
  longer.push_back(std::byte{0});
  CHECK(!opened(back, 1, aad, longer));
  auto other_key = *opener::make(seeded_key(2));
  CHECK(!opened(other_key, 1, aad, frame));
  CHECK(opened(back, 1, aad, frame) == plain);  // after all that, the genuine one
}

TEST_CASE("a sealer never uses a sequence twice, nor a key for too long", "[security][seal]") {
  auto with = *sealer::make(seeded_key(1), 100);
  message_bytes out(60 + seal_tag_bytes);
  CHECK(with.seal(5, {}, seeded_bytes(1, 60), out).has_value());
  CHECK_THROWS_AS(with.seal(5, {}, seeded_bytes(1, 60), out), std::logic_error);
  CHECK_THROWS_AS(with.seal(4, {}, seeded_bytes(1, 60), out), std::logic_error);
  CHECK_THROWS_AS(with.seal(UINT64_MAX, {}, seeded_bytes(1, 60), out), std::logic_error);
  CHECK_THROWS_AS(with.seal(6, {}, seeded_bytes(1, 59), out), std::logic_error);
  CHECK_THROWS_AS(with.seal(6, {}, std::span(out).subspan(1, 60), out), std::logic_error);
  CHECK(with.seal(6, {}, seeded_bytes(1, 60), out).error().code == errc::unavailable);
  CHECK(with.sealed_bytes() == 60);
  out.resize(40 + seal_tag_bytes);
  CHECK(with.seal(7, {}, seeded_bytes(1, 40), out).has_value());
  CHECK(with.sealed_bytes() == 100);

  sealer moved = std::move(with);
  CHECK_THROWS_AS(with.seal(8, {}, {}, std::span(out).first(16)), std::logic_error);
  CHECK(moved.seal(8, {}, {}, std::span(out).first(16)).has_value());
}

TEST_CASE("a frame costs no allocation", "[security][seal]") {
  auto with = *sealer::make(seeded_key(1));
  auto back = *opener::make(seeded_key(1));
  const auto plain = seeded_bytes(1, 1000), aad = seeded_bytes(2, 24);
  message_bytes frame(plain.size() + seal_tag_bytes), out(plain.size());
  const auto before = n_openssl_allocations();
  if (!before) {
    WARN("OpenSSL's allocations could not be counted");
    return;
  }
  CHECK(*before > 0);
  bool good = true;
  for (std::uint64_t sequence = 1; sequence <= 1000; ++sequence)
    good = good && with.seal(sequence, aad, plain, frame) && back.open(sequence, aad, frame, out);
  CHECK(good);
  CHECK(n_openssl_allocations() == before);
}

TEST_CASE("a cipher that OpenSSL refuses is an error", "[security][seal]") {
  arm_failpoint("security.cipher");
  CHECK(sealer::make(seeded_key(1)).error().code == errc::internal);
  arm_failpoint("security.cipher");
  CHECK(opener::make(seeded_key(1)).error().code == errc::internal);
  disarm_failpoints();
}
