#include "runtime/tokenizer/unicode_classes.hpp"

#include <algorithm>

namespace troupe {

character_class classify_beyond_ascii(char32_t code_point) {
  const auto ranges = unicode_ranges();
  const auto range = std::ranges::lower_bound(ranges, code_point, {}, &unicode_range::last);
  if (range == ranges.end() || code_point < range->first) return character_class::other;
  return range->kind;
}

}  // namespace troupe
