// What waits to be sent to one peer: any thread puts messages in, the progress thread takes frames out. Messages that
// wait together share a frame, so that a busy link sends few large frames and an idle one loses no time.
//
//   payload of a `messages` frame:      ( u32 length, `length` bytes )*
//   payload of a `message_part` frame:  u32 length of the whole message, bytes
//
// The parts of a message follow each other; nobody has to wait for the whole of it to see that its sender is alive,
// on a slow link either.
//
// Bounded: past the soft limit a thread that can wait waits for room, past the hard limit the outbox closes and the
// peer is given up (a peer that leaves so much lying is as good as dead).
#pragma once

#include "transport/frame.hpp"
#include "transport/security/seal.hpp"
#include "transport/wire/byte_buffer.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <span>
#include <vector>

namespace troupe::transport {

struct outbox_limits {
  std::size_t frame_bytes = 8'000;  // a message that does not fit any more begins another frame
  std::size_t soft_bytes = std::size_t{4} << 20;
  std::size_t hard_bytes = std::size_t{64} << 20;
};

/// Of one message, in parts or not.
inline constexpr std::size_t max_message_bytes = std::size_t{16} << 20;
/// A longer message is cut into parts of so many bytes. A link that brings one in a second, 2 Mbit/s, stays alive.
inline constexpr std::size_t message_part_bytes = std::size_t{256} << 10;
static_assert(message_part_bytes + sizeof(std::uint32_t) + seal_tag_bytes <= max_payload_bytes, "a part fits a frame");

/// Has room for its header, and then the payload.
struct unsent_frame {
  frame_type type = frame_type::messages;
  wire::byte_buffer bytes;
};

class outbox {
 public:
  explicit outbox(const outbox_limits& limits) : limits_(limits) {}

  enum class outcome : unsigned char { queued, closed, overrun, too_large };
  /// `first` is set when the outbox was empty: somebody has to tell the progress thread. may_wait: the calling thread
  /// is not the one that empties the outbox.
  outcome push(std::span<const std::byte> message, bool may_wait, bool& first);

  /// Oldest first; empty when nothing waits. For the progress thread.
  std::vector<unsent_frame> take();
  /// Nothing is taken any more; who waits is woken.
  void close();

 private:
  wire::byte_buffer& add_frame(frame_type type);

  const outbox_limits limits_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::vector<unsent_frame> frames_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

/// Calls each(message) for the messages of a payload; false when the payload breaks its own form.
template <class Each>
bool for_each_message(std::span<const std::byte> payload, const Each& each) {
  while (!payload.empty()) {
    std::uint32_t length = 0;
    if (payload.size() < sizeof length) return false;
    std::memcpy(&length, payload.data(), sizeof length);
    payload = payload.subspan(sizeof length);
    if (length > payload.size()) return false;
    if (!each(payload.first(length))) return false;
    payload = payload.subspan(length);
  }
  return true;
}

}  // namespace troupe::transport
