// An injected clock: live code asks steady_clock, tests and the simulator move the hands themselves. Only monotonic
// time exists inside Troupe; wall time is for log lines and for "created" fields.
#pragma once

#include <atomic>
#include <chrono>

namespace troupe {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

class clock_source {
 public:
  virtual ~clock_source() = default;
  virtual time_point now() const = 0;
};

class system_clock_source final : public clock_source {
 public:
  time_point now() const override { return std::chrono::steady_clock::now(); }
};

/// A clock that stands still until it is moved. Safe to read and move from any thread.
class manual_clock_source final : public clock_source {
 public:
  time_point now() const override { return time_point(duration(ticks_.load(std::memory_order_acquire))); }
  void advance(duration by) { ticks_.fetch_add(by.count(), std::memory_order_acq_rel); }

 private:
  std::atomic<duration::rep> ticks_{0};
};

}  // namespace troupe
