// Deterministic states out of sets of NFA states (Rabin and Scott, 1959), a call being a letter like any byte. The
// number of sets can be exponential in the grammar's size; past a bound the grammar is refused.
#pragma once

#include "runtime/grammar/automaton.hpp"
#include "runtime/grammar/nfa.hpp"

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace troupe::grammar {

class subset_construction {
 public:
  /// `rule_index` gives the automaton's number of each rule that is called.
  subset_construction(const nfa& source, const std::vector<std::uint32_t>& rule_index);

  /// The states of one rule; the result is its entry.
  state_id add_rule(const nfa::fragment& fragment);
  /// table, call_starts, calls, final, byte_class and n_classes; the rest is the caller's.
  automaton take();

 private:
  using state_set = std::vector<std::uint32_t>;
  struct set_hash {
    std::size_t operator()(const state_set& set) const;
  };

  void find_byte_classes();
  void spend(std::size_t work);
  state_set closure(const state_set& from);
  void order(state_set& members) const;
  state_id intern(state_set set);
  void expand(const state_set& set);

  const nfa& nfa_;
  const std::vector<std::uint32_t>& rule_index_;
  automaton made_;
  std::size_t work_ = 0;

  std::uint32_t exit_ = 0;  // of the rule at hand
  std::unordered_map<state_set, state_id, set_hash> ids_;
  std::vector<const state_set*> pending_;
  std::vector<std::uint32_t> stamps_;  // (NFA states): the stamp of the last closure that met the state
  std::uint32_t stamp_ = 0;
  std::vector<state_set> targets_;  // (n_classes), scratch
};

}  // namespace troupe::grammar
