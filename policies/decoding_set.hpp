// The sequences that one batch decodes, for simulations: every step draws a token of each, and costs O(1) plus
// O(log n) for each sequence that joins or ends, because all advance together and only sums are kept.
#pragma once

#include <cstdint>
#include <vector>

namespace troupe::policies {

class decoding_set {
 public:
  struct member {
    std::uint32_t request = 0;
    std::uint64_t positions = 0;  // with K and V
    std::uint32_t left = 0;       // tokens still to draw
  };

  std::uint32_t size() const { return size_; }
  std::uint64_t positions() const { return positions_; }  // of all

  void add(const member& joining);
  /// One token for each. Those that end are appended to `ended`, in the order of their joining, with their last
  /// positions.
  void step(std::vector<member>& ended);
  /// Takes out the one that joined last; O(n). There is one.
  member remove_newest();

 private:
  // Relative to the steps made, so that a step does not touch it.
  struct entry {
    std::uint64_t last_step = 0;
    std::uint64_t ticket = 0;  // order of joining
    std::uint32_t request = 0;
    std::uint64_t positions_at_end = 0;
  };
  struct later;

  std::uint64_t steps_ = 0;
  std::uint64_t tickets_ = 0;
  std::uint32_t size_ = 0;
  std::uint64_t positions_ = 0;
  std::vector<entry> by_end_;     // heap, the first to end on top
  std::vector<entry> by_ticket_;  // the newest at the back; those that ended leave in passing
};

}  // namespace troupe::policies
