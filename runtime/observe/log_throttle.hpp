// Decides which of many equal events are worth a line. Bounded: it remembers at most max_keys kinds of event, and
// forgets the one that was written longest ago.
#pragma once

#include "base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

class log_throttle {
 public:
  static constexpr std::size_t max_keys = 256;

  explicit log_throttle(duration interval) : interval_(interval) {}

  /// How many events of this key were held back since the last one that passed; nothing when this one is held back too.
  std::optional<std::uint64_t> pass(std::string_view key, time_point now);
  std::size_t size() const;

 private:
  struct entry {
    time_point written;
    std::uint64_t suppressed = 0;
  };
  void forget_oldest();

  const duration interval_;
  mutable std::mutex mutex_;
  std::map<std::string, entry, std::less<>> entries_;
};

}  // namespace troupe
