// Finds which tokens may come next, as XGrammar does (Dong et al., 2024): most tokens live or die inside the rule at
// hand, whatever called it, so for each state that is found once; only tokens that leave the rule and read on are tried
// against the whole stack.
#pragma once

#include "runtime/grammar/automaton.hpp"
#include "runtime/grammar/stack_machine.hpp"
#include "runtime/grammar/token_set.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace troupe::grammar {

/// The fate of all tokens in one state, its caller unknown.
struct state_mask {
  std::vector<std::uint64_t> allowed;  // (mask_words) allowed whoever called
  /// Tokens whose fate hangs on the caller: [first, last) in sorted order, ascending, apart.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> dependent;
  std::uint32_t deepest = 0;  // depth taken below the state's own; see stack_machine::deepest
  std::size_t bytes() const { return allowed.size() * 8 + dependent.size() * 8 + sizeof(state_mask); }
};

inline void set_bit(std::span<std::uint64_t> bits, token_id id) {
  bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<std::size_t>(id) % 64);
}
inline bool has_bit(std::span<const std::uint64_t> bits, token_id id) {
  return ((bits[static_cast<std::size_t>(id) / 64] >> (static_cast<std::size_t>(id) % 64)) & 1) != 0;
}

class mask_builder {
 public:
  /// At most max_work steps in all; the arguments outlive it.
  mask_builder(const automaton& a, const token_set& tokens, std::span<const std::uint32_t> keys, std::size_t max_work)
      : automaton_(a), tokens_(tokens), keys_(keys), max_work_(max_work) {}

  state_mask build_state_mask(state_id state);
  /// Tries the tokens of the ranges that are not in `bits` yet, reading on from where `machine` stands, and leaves it
  /// there. Ranges ascend but may overlap.
  void try_tokens(stack_machine& machine, std::span<const std::pair<std::uint32_t, std::uint32_t>> ranges,
                  std::span<std::uint64_t> bits);
  /// What it found is not complete.
  bool has_overflowed() const { return work_ > max_work_; }

 private:
  const automaton& automaton_;
  const token_set& tokens_;
  std::span<const std::uint32_t> keys_;
  std::size_t max_work_;
  std::size_t work_ = 0;
};

}  // namespace troupe::grammar
