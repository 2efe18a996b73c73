// Requests whose answer has to come from another node: when that node is lost, somebody has to tell those who wait.
// Thread-safe. Limit: who waits for a node that has delegated the request to a third one is told of the first one's
// loss only; such a request needs a time-out of its own.
#pragma once

#include "transport/peer.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <caf/all.hpp>

namespace troupe::transport {

class requests_in_flight {
 public:
  void add(const peer* at, const caf::strong_actor_ptr& requester, caf::message_id response) {
    std::lock_guard lock(mutex_);
    waiting_.insert_or_assign(key{requester->id(), response.integer_value()}, request{at, requester});
  }
  /// Whoever answered: a request may have been delegated to a third node.
  void remove(std::uint64_t requester, caf::message_id response) {
    std::lock_guard lock(mutex_);
    waiting_.erase(key{requester, response.integer_value()});
  }
  /// Everybody who waits for a peer, with the id of the response; forgotten from now on.
  std::vector<std::pair<caf::strong_actor_ptr, caf::message_id>> take(const peer* at) {
    std::vector<std::pair<caf::strong_actor_ptr, caf::message_id>> taken;
    std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](auto& entry) {
      if (entry.second.at != at) return false;
      taken.emplace_back(std::move(entry.second.requester), caf::make_message_id(entry.first.response));
      return true;
    });
    return taken;
  }
  void clear() {
    std::lock_guard lock(mutex_);
    waiting_.clear();
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  struct key {
    std::uint64_t requester;
    std::uint64_t response;
    friend bool operator==(const key&, const key&) = default;
  };
  struct hash {
    std::size_t operator()(const key& k) const { return k.requester * 0x9e3779b97f4a7c15u ^ k.response; }
  };
  struct request {
    const peer* at;
    caf::strong_actor_ptr requester;
  };

  mutable std::mutex mutex_;
  std::unordered_map<key, request, hash> waiting_;
};

}  // namespace troupe::transport
