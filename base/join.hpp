// "a, b, c": lists of names in sentences.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace troupe {

/// `name(item)` of each, with `between` in between.
template <class Range, class Name = std::identity>
std::string join(const Range& items, Name name = {}, std::string_view between = ", ") {
  std::string all;
  bool first = true;
  for (const auto& item : items) {
    if (!first) all += between;
    first = false;
    all += std::invoke(name, item);
  }
  return all;
}

}  // namespace troupe
