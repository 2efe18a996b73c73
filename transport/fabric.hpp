// What carries frames and bulk memory between two processes. Back ends: ucx_fabric (tcp, shared memory, what UCX
// finds), memory_fabric (inside one process: thread-free tests and the simulator) and fault_proxy (a decorator that
// loses, delays and corrupts).
//
// A fabric belongs to one thread, which turns it by progress(); only wake() may be called from others. It calls its
// listener from within progress() alone. Frames of a link arrive in the order they were sent; bulk parts may overtake
// frames and each other.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "transport/address.hpp"
#include "transport/wire/byte_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace troupe::transport {

/// A connection as its fabric knows it. Never reused.
using link_id = strong_id<struct link_id_tag>;

/// What a part of a bulk transfer says of itself beside its bytes. No checksum: over them it would cost more than their
/// way through shared memory; between hosts that are not one trusted fabric parts travel sealed.
struct bulk_header {
  std::uint64_t ticket = 0;  // of the receiver: bulk_receiver.hpp
  std::uint32_t part = 0;
  std::uint32_t epoch = 0;  // of the session
};

/// Where the bytes of an arriving part go. They must stay there until `on_bulk_received`.
struct bulk_place {
  std::span<std::byte> memory;  // as large as the part; empty: the part is refused
};

class fabric_listener {
 public:
  virtual ~fabric_listener() = default;
  /// Somebody connected to us.
  virtual void on_accepted(link_id link) = 0;
  /// The bytes are good during the call only. None of these may call the fabric, but for what is const.
  virtual void on_frame(link_id link, std::span<const std::byte> frame) = 0;
  /// The link is gone, and so is what was on its way. Never called for a link that was closed from this side.
  virtual void on_link_lost(link_id link, std::string_view why) = 0;
  virtual bulk_place on_bulk_offered(link_id link, const bulk_header& header, std::size_t size) = 0;
  virtual void on_bulk_received(link_id link, const bulk_header& header, bool intact) = 0;
  /// `cookie` as given to send_bulk: the memory is the sender's again.
  virtual void on_bulk_sent(std::uint64_t cookie, bool delivered) = 0;
};

class fabric {
 public:
  virtual ~fabric() = default;

  virtual void set_listener(fabric_listener& listener) = 0;

  /// The address that was bound: the system's choice where the port was 0.
  virtual result<address> listen(const address& where) = 0;
  /// A link that can be sent to at once. Whether anybody is there shows later: on_link_lost.
  virtual result<link_id> connect(const address& where) = 0;
  /// The host at the other end as the network knows it, whatever that end says of itself: a numeric address where there
  /// are any. Empty when it is not known; nobody may be trusted for that.
  virtual std::string remote_host(link_id link) const = 0;
  /// Queues a frame. Unknown links are ignored: their loss is being reported.
  virtual void send(link_id link, wire::byte_buffer frame) = 0;
  /// Bytes of frames given to send() that have not left yet.
  virtual std::size_t unsent_bytes(link_id link) const = 0;
  /// `memory` must stay as it is until on_bulk_sent.
  virtual void send_bulk(link_id link, const bulk_header& header, std::span<const std::byte> memory,
                         std::uint64_t cookie) = 0;
  /// Ends a link; what was queued may be lost. on_bulk_sent and on_bulk_received still come, with false.
  virtual void close(link_id link) = 0;
  /// The same from this side's view; what was sent last still leaves, if that takes but a moment: a refusal, a bye.
  virtual void close_gently(link_id link) = 0;

  /// One round. True when something happened.
  virtual bool progress() = 0;
  /// Sleeps until something may have happened, wake() was called or the time has come. False when it could not sleep
  /// because there is something to do.
  virtual bool sleep_until(time_point when) = 0;
  /// From any thread: ends the sleep under way, or the next one.
  virtual void wake() = 0;
};

}  // namespace troupe::transport
