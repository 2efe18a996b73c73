// Another node for as long as one session with it lasts. Threads that send share it; it never comes back to life: a
// node that is reached again is another peer.
#pragma once

#include "transport/address.hpp"
#include "transport/node_id.hpp"
#include "transport/outbox.hpp"

#include <atomic>

namespace troupe::transport {

class peer {
 public:
  peer(const node_id& node, const outbox_limits& limits) : node_(node), outbox_(limits) {}

  const node_id& node() const { return node_; }
  /// False from the moment the session is lost.
  bool alive() const { return alive_.load(std::memory_order_acquire); }

 private:
  friend class mesh;
  const node_id node_;
  outbox outbox_;
  std::atomic<bool> alive_{true};
};

}  // namespace troupe::transport
