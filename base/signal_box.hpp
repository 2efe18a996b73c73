// A box that one thread waits at until another puts something in; the first thing stays.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace troupe {

template <class T>
class signal_box {
 public:
  void put(T value) {
    {
      std::lock_guard lock(mutex_);
      if (!value_) value_ = std::move(value);
    }
    filled_.notify_all();
  }
  /// What is in it, waiting at most so long; nullopt when that is over.
  std::optional<T> wait_for(std::chrono::milliseconds longest) const {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, longest, [&] { return value_.has_value(); });
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable filled_;
  std::optional<T> value_;
};

}  // namespace troupe
