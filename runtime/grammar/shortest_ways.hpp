// For each state, how far the end of its rule is: in bytes, and in rules within one another. Knuth's generalisation of
// Dijkstra's algorithm to grammars (1977).
#pragma once

#include "runtime/grammar/automaton.hpp"

#include <cstdint>
#include <vector>

namespace troupe::grammar {

inline constexpr std::uint32_t unreachable = ~std::uint32_t{0};

enum class way_cost : std::uint8_t { bytes, depth };

struct shortest_ways {
  std::vector<std::uint32_t> of_states;  // (n_states); unreachable: nothing leads to the end
  std::vector<std::uint32_t> of_rules;   // (rules) the same from the entry, having read something
};

/// Costs past 2^30 count as 2^30.
shortest_ways find_shortest_ways(const automaton& a, way_cost cost);

}  // namespace troupe::grammar
