// Where bulk memory that others send arrives: a ticket stands for places in this node's memory, one for each part. The
// bytes go there straight from the wire.
//
//   open(places) --> ticket --(a message to the sender)--> parts arrive --all of them--> done(true), ticket gone
//                      |                                        | one broken, close(), the node lost
//                      +----------------------------------------+--> done(false), once nothing is on its way into them
//
// Thread-safe. A ticket belongs to one node and is 64 random bits: others cannot write into it.
#pragma once

#include "base/result.hpp"
#include "transport/fabric.hpp"
#include "transport/node_id.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace troupe::transport {

class bulk_receiver {
 public:
  using completion = std::function<void(bool arrived)>;

  explicit bulk_receiver(std::function<result<>(std::span<std::byte>)> fill_random)
      : fill_random_(std::move(fill_random)) {}
  ~bulk_receiver() { abandon(); }

  /// Places for parts 0, 1, 2, … from `sender`; at least one is not empty, and empty ones are not waited for. `done` is
  /// called once, on the thread that turns the mesh or in close(); until then the places stay as they are.
  /// Errors: internal (no random bytes for the ticket); `done` is then not called.
  result<std::uint64_t> open(const node_id& sender, std::vector<std::span<std::byte>> places, completion done);
  /// No part from n_parts on will come: the ticket is done when those before are there. Broken if one did come.
  void expect(std::uint64_t ticket, std::uint32_t n_parts);
  /// Gives a ticket up. Unknown ones are ignored.
  void close(std::uint64_t ticket);
  /// Gives up all tickets of a node.
  void close_all(const node_id& sender);
  /// Gives up everything, what is on its way as well: for an owner whose fabric is gone.
  void abandon();

  // For the mesh: a part of a ticket is announced, and has come.
  std::span<std::byte> offer(const node_id& sender, std::uint64_t ticket, std::uint32_t part, std::size_t size);
  void received(std::uint64_t ticket, std::uint32_t part, bool intact);

  std::size_t size() const;

 private:
  enum class part_state : unsigned char { expected, arriving, arrived };
  struct entry {
    node_id sender;
    std::vector<std::span<std::byte>> places;
    std::vector<part_state> states;
    std::size_t n_arriving = 0;
    std::size_t n_arrived = 0;
    bool broken = false;
    completion done;
  };

  using entries = std::unordered_map<std::uint64_t, entry>;
  /// Takes an entry out if nothing more can happen to it; its completion is then to be called without the lock.
  completion settle(entries::iterator at, bool& arrived);

  mutable std::mutex mutex_;
  std::function<result<>(std::span<std::byte>)> fill_random_;
  entries entries_;
};

}  // namespace troupe::transport
