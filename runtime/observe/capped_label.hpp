// Label values that clients choose, bounded: every new value of a label is a new time series, so the first thousand are
// kept and the rest become "other".
#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace troupe {

class capped_label {
 public:
  static constexpr std::size_t default_cap = 1000;
  static constexpr std::size_t max_value_bytes = 128;

  explicit capped_label(std::size_t cap = default_cap) : cap_(cap) {}

  /// The value itself while it is among the first `cap` distinct ones, then "other". Values are cut to max_value_bytes
  /// and made valid UTF-8 first. Safe from any thread.
  std::string operator()(std::string_view value);
  std::size_t size() const;

 private:
  const std::size_t cap_;
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace troupe
