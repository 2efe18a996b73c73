// What a mesh counts, for /metrics and for tests. Written by the turning thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace troupe::transport {

struct mesh_counters {
  std::atomic<std::uint64_t> frames_sent{0};
  std::atomic<std::uint64_t> frames_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};  // of frames; plain bulk memory is not among them
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> messages_received{0};
  std::atomic<std::uint64_t> peers_up{0};
  std::atomic<std::uint64_t> peers_lost{0};

  /// Frames and handshakes that were refused, by reason.
  void count_refusal(const std::string& reason) {
    std::lock_guard lock(mutex_);
    ++refusals_[reason];
  }
  std::map<std::string, std::uint64_t> refusals() const {
    std::lock_guard lock(mutex_);
    return refusals_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> refusals_;  // reasons are a closed list
};

}  // namespace troupe::transport
