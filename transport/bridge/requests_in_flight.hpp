// Requests whose answer has to come from another node: when that node is lost, somebody has to tell those who wait.
// Thread-safe.
#pragma once

#include "transport/peer.hpp"

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
    waiting_[at].insert_or_assign(key{requester->id(), response.integer_value()}, requester);
  }
  void remove(const peer* at, std::uint64_t requester, caf::message_id response) {
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(at);
    if (found != waiting_.end()) found->second.erase(key{requester, response.integer_value()});
  }
  /// Everybody who waits for a peer, with the id of the response; forgotten from now on.
  std::vector<std::pair<caf::strong_actor_ptr, caf::message_id>> take(const peer* at) {
    std::vector<std::pair<caf::strong_actor_ptr, caf::message_id>> taken;
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(at);
    if (found == waiting_.end()) return taken;
    for (auto& [of, requester] : found->second)
      taken.emplace_back(std::move(requester), caf::make_message_id(of.response));
    waiting_.erase(found);
    return taken;
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

  std::mutex mutex_;
  std::unordered_map<const peer*, std::unordered_map<key, caf::strong_actor_ptr, hash>> waiting_;
};

}  // namespace troupe::transport
