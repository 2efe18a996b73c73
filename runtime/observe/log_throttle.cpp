#include "runtime/observe/log_throttle.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

std::optional<std::uint64_t> log_throttle::pass(std::string_view key, time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (entries_.size() >= max_keys) forget_oldest();
    entries_.emplace(key, entry{now});
    return 0;
  }
  entry& known = found->second;
  if (now - known.written < interval_) {
    ++known.suppressed;
    return std::nullopt;
  }
  known.written = now;
  return std::exchange(known.suppressed, 0);
}

std::size_t log_throttle::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void log_throttle::forget_oldest() {
  entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                  [](const auto& a, const auto& b) { return a.second.written < b.second.written; }));
}

}  // namespace troupe
