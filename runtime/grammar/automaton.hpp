// What a grammar is compiled to: one deterministic automaton over bytes for each rule that was not written out, whose
// states may also call other rules (a recursive transition network). Together with a stack they read the language.
//
// A call that matches the empty text is already folded into the states, so a called rule always reads something before
// it returns. No rule calls itself before reading (`order` is a topological order of first calls). Every state can
// reach the end of its rule: what could not has been cut away.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe::grammar {

using state_id = std::uint32_t;

inline constexpr state_id no_state = ~state_id{0};

struct automaton {
  struct call {
    std::uint32_t rule;
    state_id after;  // where the caller goes on
    friend auto operator<=>(const call&, const call&) = default;
  };
  struct rule_entry {
    state_id entry;
    std::uint32_t order;     // callers of first calls before their callees
    std::uint32_t need;      // rules within one another that its shallowest text takes
    std::uint32_t distance;  // bytes of its shortest text that is not empty
  };

  state_id next(state_id state, std::uint8_t byte) const {
    return table[state * static_cast<std::size_t>(n_classes) + byte_class[byte]];
  }
  std::span<const call> calls_of(state_id state) const {
    return {calls.data() + call_starts[state], call_starts[state + 1] - call_starts[state]};
  }
  bool has_calls(state_id state) const { return call_starts[state + 1] > call_starts[state]; }
  /// Neither calls nor returns here: the next byte alone decides.
  bool is_plain(state_id state) const { return !final[state] && !has_calls(state); }
  /// A caller that goes on here has nothing left to do.
  bool is_tail(state_id state) const { return final[state] && !reads[state] && !has_calls(state); }
  std::size_t n_states() const { return final.size(); }

  std::array<std::uint8_t, 256> byte_class{};
  std::uint32_t n_classes = 0;
  std::vector<state_id> table;             // (n_states, n_classes)
  std::vector<std::uint32_t> call_starts;  // (n_states + 1)
  std::vector<call> calls;
  std::vector<std::uint8_t> final;      // (n_states) 1: the rule may end here
  std::vector<std::uint8_t> reads;      // (n_states) 1: some byte leads on
  std::vector<std::uint32_t> need;      // (n_states) rules within one another that the shallowest way to the end takes
  std::vector<std::uint32_t> distance;  // (n_states) bytes of the shortest way to the end of the rule
  std::vector<rule_entry> rules;        // the first is the root
  bool root_is_nullable = false;
};

/// Throws failure: too_large past a bound, invalid_argument when no text matches.
automaton build_automaton(const rule_set& rules);

}  // namespace troupe::grammar
