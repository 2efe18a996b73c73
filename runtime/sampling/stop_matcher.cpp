#include "runtime/sampling/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

stop_matcher::stop_matcher(std::span<const std::string> stops, bool include) : include_(include) {
  for (const std::string& stop : stops) {
    if (stop.empty()) continue;
    std::vector<std::uint32_t> borders(stop.size() + 1, 0);
    for (std::uint32_t n = 1, border = 0; n < stop.size(); ++n) {
      while (border > 0 && stop[n] != stop[border])
        border = borders[border];
      if (stop[n] == stop[border]) ++border;
      borders[n + 1] = border;
    }
    automata_.push_back({.stop = stop, .borders = std::move(borders)});
  }
}

void stop_matcher::automaton::step(char byte) {
  while (length > 0 && stop[length] != byte)
    length = borders[length];
  if (stop[length] == byte) ++length;
}

std::string stop_matcher::push(std::string_view text) {
  if (matched_) return {};
  if (automata_.empty()) return std::string(text);
  for (const char byte : text) {
    held_.push_back(byte);
    std::size_t longest_match = 0;
    for (automaton& a : automata_) {
      a.step(byte);
      if (a.length == a.stop.size()) longest_match = std::max(longest_match, a.stop.size());
    }
    if (longest_match > 0) {
      matched_ = true;
      if (!include_) held_.resize(held_.size() - longest_match);
      return std::exchange(held_, {});
    }
  }
  std::size_t n_held = 0;
  for (const automaton& a : automata_)
    n_held = std::max<std::size_t>(n_held, a.length);
  std::string released = held_.substr(0, held_.size() - n_held);
  held_.erase(0, released.size());
  return released;
}

std::string stop_matcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace troupe
