// Finds stop strings in text that comes in pieces, and holds back what may yet become one.
//
// The answer ends at the stop string that is complete first; of several complete at the same byte, at the longest. That
// needs no look ahead, so that generation ends at once, and does not depend on how the text was cut into pieces (rule
// 5).
//
// Knuth, Morris and Pratt (1977), one automaton a string: O(strings) a byte. Text and stop strings are UTF-8, so a cut
// never splits a character.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class stop_matcher {
 public:
  /// Empty stop strings are ignored. include: the text given out ends with the stop string instead of before it.
  explicit stop_matcher(std::span<const std::string> stops = {}, bool include = false);

  /// Appends text; returns what can be given out now. Nothing comes after a match.
  std::string push(std::string_view text);
  /// The end of the stream: what was held back.
  std::string finish();

  bool matched() const { return matched_; }

 private:
  struct automaton {
    std::string stop;
    std::vector<std::uint32_t> borders;  // borders[n]: length of the longest proper border of the first n bytes
    std::uint32_t length = 0;            // longest suffix of the text that begins the stop string
    void step(char byte);
  };

  std::vector<automaton> automata_;
  bool include_;
  bool matched_ = false;
  std::string held_;  // the longest suffix of the text that begins a stop string
};

}  // namespace troupe
