// One grammar and one vocabulary: the masks of all sequences that share both. And grammar_state, where one sequence
// stands.
//
//   auto matcher = std::make_shared<grammar_matcher>(grammar, tokens);
//   grammar_state state(matcher);
//   state.mask(bits);        // bit i: token i may come next
//   state.accept(token);     // it came
//
// Cost: a mask seen before is a look-up and a copy (a few microseconds for 49,152 tokens); one not seen before costs
// some 0.1 to 1 ms. Masks are kept by what the stack can still do, so records of an array share theirs.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "runtime/grammar/compiled_grammar.hpp"
#include "runtime/grammar/lru_cache.hpp"
#include "runtime/grammar/mask_builder.hpp"
#include "runtime/grammar/stack_machine.hpp"
#include "runtime/grammar/token_set.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace troupe {

inline constexpr std::size_t default_mask_cache_bytes = 32 << 20;

/// Thread-safe.
class grammar_matcher {
 public:
  /// Keeps at most max_cache_bytes of masks, the least recently used going first.
  grammar_matcher(std::shared_ptr<const compiled_grammar> compiled, std::shared_ptr<const token_set> tokens,
                  std::size_t max_cache_bytes = default_mask_cache_bytes);

  const compiled_grammar& compiled() const { return *compiled_; }
  const token_set& tokens() const { return *tokens_; }
  std::size_t cached_bytes() const { return masks_.bytes() + state_masks_.bytes(); }

 private:
  friend class grammar_state;
  using mask_bits = std::vector<std::uint64_t>;

  result<> find_mask(const grammar::stack_machine& machine, std::span<std::uint64_t> bits);
  result<> make_mask(const grammar::stack_machine& machine, std::span<std::uint64_t> bits);
  std::shared_ptr<const grammar::state_mask> mask_of_state(grammar::state_id state, grammar::mask_builder& builder);

  std::shared_ptr<const compiled_grammar> compiled_;
  std::shared_ptr<const token_set> tokens_;
  std::vector<std::uint32_t> classes_;  // (states) those alike for every token share a number
  grammar::lru_cache<grammar::state_mask> state_masks_;
  grammar::lru_cache<mask_bits> masks_;
};

/// Where one sequence stands. Copies are cheap and independent. One thread at a time.
class grammar_state {
 public:
  explicit grammar_state(std::shared_ptr<grammar_matcher> matcher);

  /// bits: (mask_words of the token set), overwritten. A token is allowed when some text of the grammar begins with
  /// what came so far and the token's bytes; an end token when may_end(). Fails with too_large when the grammar is so
  /// ambiguous here that the work passes a bound; the sequence cannot go on then.
  result<> mask(std::span<std::uint64_t> bits) const;
  /// The token came next. False, and nothing changes, when it is not allowed, or when reading it passes a bound of
  /// limits.hpp although the mask allowed it: the grammar is too ambiguous, and the sequence cannot go on. An end token
  /// ends the sequence.
  bool accept(token_id token);

  /// What came is a whole text of the grammar.
  bool may_end() const { return !has_ended_ && machine_.may_end(); }
  /// It is, and nothing else may follow.
  bool must_end() const { return may_end() && machine_.configurations().empty(); }
  /// An end token came.
  bool has_ended() const { return has_ended_; }
  /// Bytes of the shortest way to a whole text; 0 when may_end(). Tokens left must not fall below it.
  std::size_t bytes_to_end() const { return has_ended_ ? 0 : machine_.distance(); }

 private:
  std::shared_ptr<grammar_matcher> matcher_;
  grammar::stack_machine machine_;
  bool has_ended_ = false;
};

}  // namespace troupe
