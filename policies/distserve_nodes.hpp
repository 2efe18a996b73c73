// Which node each stage of a unit is on. GPUs that must share a node are placed together, into the fullest node that
// still has room for them, so that whole nodes stay free for large units. Pure.
#pragma once

#include "policies/distserve_candidates.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace troupe::policies {

/// One pipeline stage of one instance: `tp` GPUs of a node.
struct stage_location {
  bool decodes = false;        // of a decode instance; co-located ones count as prefill
  std::uint32_t instance = 0;  // of the unit, each phase counted from 0
  std::uint32_t stage = 0;
  std::uint32_t node = 0;
  std::uint32_t gpus = 0;
};

class node_pool {
 public:
  node_pool(std::uint32_t nodes, std::uint32_t gpus_per_node) : free_(nodes, gpus_per_node) {}

  /// Takes the unit's GPUs; nothing changes when they do not fit. O(stages * nodes).
  std::optional<std::vector<stage_location>> place(const placement_unit& unit);
  bool fits(const placement_unit& unit) const { return node_pool(*this).place(unit).has_value(); }
  const std::vector<std::uint32_t>& free_gpus() const { return free_; }  // of each node

 private:
  std::optional<std::uint32_t> take(std::uint32_t gpus);

  std::vector<std::uint32_t> free_;
};

}  // namespace troupe::policies
