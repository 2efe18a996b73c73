// Bulk memory on its way out: parts of tickets that other nodes have opened (bulk_receiver.hpp). At most so many bytes
// of one peer are in flight; the rest waits as spans, in order.
//
// Over a plain session a part goes from this memory straight into the place the receiver named. Over a sealed one it is
// cut into chunks that travel as frames, since what is sealed must be written anew in any case:
//
//   payload of a `bulk` frame:  u64 ticket, u32 part, u32 0, u64 offset in the part, u64 size of the part, bytes
#pragma once

#include "transport/fabric.hpp"
#include "transport/peer.hpp"
#include "transport/session.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace troupe::transport {

inline constexpr std::size_t bulk_chunk_bytes = std::size_t{256} << 10;
inline constexpr std::size_t bulk_chunk_head_bytes = 32;

struct bulk_chunk {
  std::uint64_t ticket = 0;
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
  std::uint64_t part_size = 0;
  std::span<const std::byte> bytes;
};
/// nullopt: no chunk, or one that reaches past its part.
std::optional<bulk_chunk> parse_bulk_chunk(std::span<const std::byte> payload);

struct bulk_transfer {
  std::shared_ptr<peer> to;
  std::uint64_t ticket = 0;
  std::uint32_t first_part = 0;
  std::vector<std::span<const std::byte>> parts;  // empty ones are passed over
  // True: all parts have left and the memory is the sender's again. Whether they were wanted, the receiver knows.
  std::function<void(bool)> done;
};

class bulk_sender {
 public:
  /// `session_of`: the session with a peer, or nullptr while (or since) there is none. `send_frame` completes and sends
  /// a frame of a session.
  bulk_sender(fabric& fabric, std::size_t max_in_flight, std::function<session*(const peer&)> session_of,
              std::function<void(session&, wire::byte_buffer)> send_frame);
  ~bulk_sender();

  void add(bulk_transfer transfer);
  /// Sends what may be sent. True when something was.
  bool pump();
  /// fabric_listener's event.
  void sent(std::uint64_t cookie, bool delivered);
  /// Nothing reaches this peer any more; what the fabric still has comes back by sent().
  void lose(const peer& lost);
  /// Everything ends, what the fabric has as well: for an owner whose fabric is gone.
  void abandon();

  std::size_t in_flight_bytes(const peer& to) const;
  bool any_in_flight() const { return !in_fabric_.empty(); }

 private:
  struct sending {
    bulk_transfer transfer;
    std::size_t next_part = 0;
    std::uint64_t offset = 0;  // in that part, of chunks
    std::size_t n_in_fabric = 0;
    bool lost = false;
  };
  using transfers = std::list<sending>;
  struct part_in_fabric {
    transfers::iterator of;
    std::size_t bytes;
  };

  bool pump_one(transfers::iterator at, session& over);
  bool send_part(transfers::iterator at, session& over);
  bool send_chunk(transfers::iterator at, session& over);
  void finish_if_done(transfers::iterator at);

  fabric& fabric_;
  std::size_t max_in_flight_;
  std::function<session*(const peer&)> session_of_;
  std::function<void(session&, wire::byte_buffer)> send_frame_;
  transfers sending_;  // in order
  std::map<std::uint64_t, part_in_fabric> in_fabric_;
  std::unordered_map<const peer*, std::size_t> in_flight_;
  std::uint64_t next_cookie_ = 1;
};

}  // namespace troupe::transport
