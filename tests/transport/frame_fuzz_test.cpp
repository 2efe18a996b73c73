// A million frames, mutated by seed, into a mesh: into sessions that are up, plain and sealed, and into fresh links.
// Nothing may crash, what is refused is counted, and no frame makes the mesh ask for more memory than it is large.
// tests/fuzz/frame_fuzzer.cpp is the same without an end.
#include "allocation_counter.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "frame_player.hpp"
#include "transport/frame.hpp"
#include "transport/wire/reader.hpp"
#include "wire_samples.hpp"

#include <cstring>

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

/// Reads each message as a bridge would: whatever it is, it must not harm.
class reading_listener final : public mesh_listener {
 public:
  std::uint64_t n_messages = 0;
  std::uint64_t n_refusals = 0;
  std::uint64_t n_up = 0;
  std::uint64_t n_lost = 0;

  void on_peer_up(const peer_pointer&) override { ++n_up; }
  bool on_message(const peer_pointer&, std::span<const std::byte> message) override {
    ++n_messages;
    inner_sample read;
    if (read_exactly(message, read).empty()) ++n_read;
    return message.empty() || message[0] != std::byte{0xff};
  }
  void on_peer_lost(const peer_pointer&, std::string_view) override { ++n_lost; }
  void on_refusal(std::string_view, std::string_view) override { ++n_refusals; }
  std::uint64_t n_read = 0;
};

/// A payload of messages or of a chunk, good or nearly so.
void make_payload(random_stream& random, frame_type type, std::vector<std::byte>& payload) {
  payload.clear();
  if (type == frame_type::bulk) {
    const std::uint64_t size = random.below(64) + 1;
    const std::uint64_t head[] = {random.below(4), random.below(3), random.below(4) == 0 ? random() : 0,
                                  random.below(4) == 0 ? random() : size};
    payload.resize(bulk_chunk_head_bytes + size);
    std::memcpy(payload.data(), head, sizeof head);
    return;
  }
  static const wire::byte_buffer sample_message = written(inner_sample{-3, "text", {1.0f, 2.0f}});
  for (std::uint64_t n = random.below(4); n > 0; --n) {
    const auto length = static_cast<std::uint32_t>(random.below(3) == 0 ? random.below(40) : sample_message.size());
    const std::size_t at = payload.size();
    payload.resize(at + 4 + length, std::byte{1});
    std::memcpy(payload.data() + at, &length, 4);
    if (length == sample_message.size()) std::memcpy(payload.data() + at + 4, sample_message.data(), length);
  }
}

void mutate(random_stream& random, std::vector<std::byte>& bytes) {
  for (std::uint64_t n = random.below(3) + 1; n > 0 && !bytes.empty(); --n) {
    const auto at = random.below(bytes.size());
    const auto dice = random.below(16);
    if (dice == 0) bytes.resize(at);
    if (dice == 1) bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::byte>(random()));
    if (dice == 2) bytes[at] = std::byte{0xff};
    if (dice == 3) bytes[at] = std::byte{0};
    if (dice > 3) bytes[at] ^= std::byte{1} << random.below(8);
  }
}

/// Another header under the right checksum: what only the session can tell.
void change_header(random_stream& random, std::vector<std::byte>& frame) {
  auto header = parse_frame(frame).header;
  if (frame.size() < frame_header_bytes) return;
  const auto dice = random.below(4);
  if (dice == 0) header.epoch ^= 2;
  if (dice == 1) header.sequence += random.below(3) - 1;
  if (dice == 2) header.flags ^= static_cast<std::uint16_t>(1u << random.below(2));
  constexpr frame_type types[] = {frame_type::handshake, frame_type::messages, frame_type::beat, frame_type::bulk};
  if (dice == 3) header.type = types[random.below(4)];  // a bye would end the session in order
  write_frame_header(frame, header);
}

struct tally {
  std::uint64_t n_broken = 0;        // frames after which there was no session
  std::uint64_t n_fresh = 0;         // of them those into fresh links
  std::uint64_t most_allocated = 0;  // beyond the frame's own size
};

/// One frame. Most leave the session up, since a handshake costs fifty times as much.
void play(frame_player& player, random_stream& random, std::vector<std::byte>& payload, tally& count) {
  const auto kind = random.below(1000);
  const bool fresh = kind < 8;
  if (fresh)
    player.connect();
  else if (!player.up())
    player.establish();
  const auto type = kind % 10 == 9 ? frame_type::bulk : kind % 10 == 8 ? frame_type::beat : frame_type::messages;
  make_payload(random, type, payload);
  std::vector<std::byte> frame;
  if (fresh) {
    frame.resize(frame_header_bytes);
    frame.insert(frame.end(), payload.begin(), payload.end());
    const auto of_type = random.below(2) == 0 ? frame_type::handshake : static_cast<frame_type>(1 + random.below(5));
    write_frame_header(frame, {.type = of_type, .epoch = static_cast<std::uint32_t>(random.below(3))});
    if (random.below(2) == 0) mutate(random, frame);
  } else {
    // Changed before it is closed: a frame in order with a strange payload. Or after: not even that. The first byte of
    // a length is left alone mostly, or nearly all would end the session.
    if (random.below(100) < 3) mutate(random, payload);
    if (payload.size() > 5 && random.below(2) == 0) payload[4 + random.below(payload.size() - 4) / 2] ^= std::byte{2};
    frame = player.next_frame(type, payload);
    if (random.below(200) == 0) mutate(random, frame);
    if (random.below(300) == 0) change_header(random, frame);
  }
  const auto before = allocated_bytes();
  const bool lives = player.deliver(frame);
  const auto asked = allocated_bytes() - before;
  count.most_allocated = std::max(count.most_allocated, asked - std::min(asked, 4 * frame.size()));
  count.n_broken += !lives;
  count.n_fresh += fresh;
}

}  // namespace

TEST_CASE("a million mutated frames", "[mesh][fuzz]") {
  constexpr std::uint64_t n_frames = 500'000;
  for (const bool sealed : {false, true}) {
    CAPTURE(sealed);
    reading_listener listener;
    frame_player player(listener, sealed);
    random_stream random(sealed ? 2 : 1);
    tally count;
    std::vector<std::byte> payload;
    for (std::uint64_t i = 0; i < n_frames; ++i) {
      INFO("frame " << i);
      play(player, random, payload, count);
    }
    CHECK(count.n_broken > n_frames / 100);
    CHECK(count.n_broken < n_frames / 8);
    CHECK(count.n_fresh > n_frames / 200);
    // Each frame that ended something was counted once, by reason, and reported.
    CHECK(player.n_refused() >= count.n_broken);
    CHECK(listener.n_refusals == count.n_broken);
    CHECK(listener.n_up - listener.n_lost <= 1);
    CHECK(listener.n_messages > n_frames / 4);
    CHECK(listener.n_read > n_frames / 10);
    CHECK(count.most_allocated < 20'000);
    const auto reasons = player.mesh().counters().refusals();
    for (const auto reason : {"malformed", "malformed_message", "unauthenticated", "wrong_checksum", "wrong_length",
                              "wrong_magic", "wrong_session", "wrong_version", "unknown_type", "too_large", "too_short",
                              "unknown_ticket", "unexpected_handshake"}) {
      CAPTURE(reason);
      CHECK(reasons.contains(reason));
    }
  }
}
