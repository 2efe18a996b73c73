#include "runtime/observe/capped_label.hpp"

#include "base/utf8.hpp"

namespace troupe {

std::string capped_label::operator()(std::string_view value) {
  value = value.substr(0, max_value_bytes);
  value.remove_suffix(incomplete_utf8_suffix(value));
  std::string kept = repair_utf8(value);
  const std::lock_guard lock(mutex_);
  if (seen_.contains(kept)) return kept;
  if (seen_.size() >= cap_) return "other";
  seen_.insert(kept);
  return kept;
}

std::size_t capped_label::size() const {
  const std::lock_guard lock(mutex_);
  return seen_.size();
}

}  // namespace troupe
