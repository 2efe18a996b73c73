// Holds the tokens of one answer to its grammar: what may be drawn next, and that the answer reaches its end in time.
//
// An answer that may only have so many tokens more is led to its end: a token after which the rest of the shortest
// text would not fit (counted a token a byte, which every vocabulary can) is refused and another is drawn. So a schema
// whose shortest text fits max_tokens gives a whole text, whatever the model would have liked to say.
//
// A draw depends on the tokens before it and on the draw function only, not on who else is computed (rule 5).
// Cost of a draw beside the draw function: one mask (grammar_matcher.hpp) and reading one token, some microseconds.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "runtime/grammar/grammar_matcher.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

namespace troupe {

class grammar_constraint {
 public:
  explicit grammar_constraint(std::shared_ptr<grammar_matcher> matcher)
      : matcher_(matcher), state_(std::move(matcher)) {}

  /// Bit i of allowed: token i may be drawn.
  using draw_function = std::function<token_id(std::span<const std::uint64_t> allowed)>;

  /// The token that follows `guesses`, which must be allowed in order. tokens_left: what the answer may still have,
  /// this one among them. Fails when the vocabulary has no token that goes on, or the grammar is too ambiguous here.
  /// Several threads may draw at once.
  result<token_id> draw(std::span<const token_id> guesses, std::uint32_t tokens_left, const draw_function& draw) const;
  /// How many of these may follow, one after the other.
  std::size_t count_allowed(std::span<const token_id> tokens) const;

  /// The token came. False, and nothing changes, when it may not follow.
  bool accept(token_id token) { return state_.accept(token); }
  /// What came is a whole text.
  bool may_end() const { return state_.may_end() || state_.has_ended(); }
  /// ... and nothing may follow.
  bool must_end() const { return state_.must_end() || state_.has_ended(); }

 private:
  std::shared_ptr<const grammar_matcher> matcher_;
  grammar_state state_;
};

}  // namespace troupe
