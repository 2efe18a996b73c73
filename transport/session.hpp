// One link and what its two ends have agreed on: the handshake first, then numbered frames of one epoch, sealed or
// plain. Knows no fabric and no time of its own.
#pragma once

#include "base/clock.hpp"
#include "transport/fabric.hpp"
#include "transport/frame.hpp"
#include "transport/peer.hpp"
#include "transport/security/handshake.hpp"
#include "transport/security/seal.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace troupe::transport {

/// node_identity::purpose of the initiator.
namespace link_purpose {
inline constexpr std::uint8_t plain = 0;
inline constexpr std::uint8_t sealed = 1;
}  // namespace link_purpose

class session {
 public:
  session(link_id link, handshake shaking, bool initiator, time_point now)
      : link_(link), shaking_(std::move(shaking)), initiator_(initiator), opened_(now), last_heard_(now) {}

  link_id link() const { return link_; }
  bool initiator() const { return initiator_; }
  /// Whether the other side has proven to know the secret: what it says of itself counts only from then on.
  bool proven() const { return up_ || (initiator_ && shaking_.peer().has_value()); }
  time_point opened() const { return opened_; }

  handshake& shaking() { return shaking_; }
  /// The other node, as soon as anything is known about it.
  std::optional<node_id> node() const;
  /// From here on frames are numbered, of the handshake's epoch, and sealed if the purpose says so.
  result<> establish(bool sealed);
  bool up() const { return up_; }
  bool sealed() const { return sealer_.has_value(); }

  /// Completes a frame: `frame` has room for the header and then the payload.
  /// Errors: the session's key has sealed all it may.
  result<> close_frame(frame_type type, wire::byte_buffer& frame);
  /// The payload of a frame that is this session's next, good until the next call; `bytes`: the whole frame.
  result<std::span<const std::byte>> open_frame(const parsed_frame& frame, std::span<const std::byte> bytes);

  /// Who the session is with: set when it is up, and before by a mesh that connects to a node it knows.
  std::shared_ptr<peer> with;
  time_point last_heard() const { return last_heard_; }
  void heard(time_point now) { last_heard_ = now; }
  /// This side did not listen for so long.
  void excuse(duration pause, time_point now) {
    last_heard_ = std::min(last_heard_ + pause, now);
    opened_ = std::min(opened_ + pause, now);
  }
  /// The beginning of a message that comes in parts; of so many bytes in all.
  wire::byte_buffer partial_message;
  std::uint32_t partial_length = 0;
  /// Where the chunks of the present bulk part go (bulk_sender.hpp).
  struct arriving_part {
    std::uint64_t ticket = 0;
    std::uint32_t part = 0;
    std::span<std::byte> place;
    std::uint64_t filled = 0;  // chunks come in order
  };
  std::optional<arriving_part> arriving;

 private:
  link_id link_;
  handshake shaking_;
  bool initiator_;
  bool up_ = false;
  time_point opened_;
  time_point last_heard_;
  std::uint64_t next_sent_ = 1;
  std::uint64_t next_received_ = 1;
  std::optional<sealer> sealer_;
  std::optional<opener> opener_;
  std::vector<std::byte> opened_payload_;  // reused
};

}  // namespace troupe::transport
