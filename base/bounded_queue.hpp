// A queue with a bound, for handing work from many threads to one. At the bound push() refuses, and the caller sheds.
#pragma once

#include "base/assert.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace troupe {

template <class T>
class bounded_queue {
 public:
  explicit bounded_queue(std::size_t capacity) : capacity_(capacity) {
    TROUPE_ASSERT(capacity > 0, "a queue of no capacity refuses everything");
  }

  /// False when the queue is full or closed; the item is untouched then.
  bool push(T&& item) {
    {
      std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }

  /// Everything queued, in order; empty when there is nothing.
  std::vector<T> drain() {
    std::lock_guard lock(mutex_);
    return take_all();
  }

  /// Waits for something to drain or for close(). Empty only once closed.
  std::vector<T> wait_and_drain() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take_all();
  }

  /// As wait_and_drain(), but gives up (empty) at the time given.
  template <class Clock, class Duration>
  std::vector<T> drain_until(std::chrono::time_point<Clock, Duration> when) {
    std::unique_lock lock(mutex_);
    ready_.wait_until(lock, when, [&] { return closed_ || !items_.empty(); });
    return take_all();
  }

  /// Refuses all further items and wakes who waits. What is queued can still be drained.
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  std::size_t capacity() const { return capacity_; }

 private:
  std::vector<T> take_all() {
    std::vector<T> taken;
    taken.reserve(items_.size());
    for (auto& item : items_)
      taken.push_back(std::move(item));
    items_.clear();
    return taken;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace troupe
