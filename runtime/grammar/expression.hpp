// The intermediate form: rules over expressions, which the GBNF parser and the JSON schema compiler write and the
// automaton is built from. Characters are code points here; they become bytes when the automaton is built.
#pragma once

#include "runtime/grammar/code_points.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::grammar {

using expression_id = std::uint32_t;
using rule_id = std::uint32_t;

inline constexpr std::uint32_t unbounded = ~std::uint32_t{0};
inline constexpr std::uint32_t nothing = ~std::uint32_t{0};

enum class expression_kind : std::uint8_t {
  literal,    // these bytes; none is the empty text
  character,  // one code point of a set
  sequence,   // one child after another
  choice,     // one of the children; of no children: nothing matches
  repeat,     // the child min to max times
  call,       // what another rule matches
  joined      // children with `separator` between those that appear
};

/// How children of `joined` may be left out.
enum class omission : std::uint8_t {
  skip,  // each optional child for itself (the members of an object)
  stop   // from an optional child on, all of them (the items of an array)
};

struct expression {
  expression_kind kind = expression_kind::literal;
  omission omits = omission::skip;
  std::string bytes;                    // literal
  code_set set;                         // character
  std::vector<expression_id> children;  // sequence, choice, repeat (one), joined
  std::vector<bool> optional;           // joined: for each child
  expression_id separator = nothing;    // joined
  std::uint32_t min = 0;                // repeat
  std::uint32_t max = 0;
  rule_id rule = 0;  // call
};

struct rule {
  std::string name;
  expression_id body = nothing;  // nothing: used but not defined
  bool inlinable = true;         // false keeps one automaton, and so one set of masks, for all its uses
  std::uint32_t line = 0;        // where it was first seen, for errors; 0: not from a text
  std::uint32_t column = 0;
};

class rule_set {
 public:
  expression_id literal(std::string_view bytes);
  expression_id character(code_set set);
  expression_id sequence(std::vector<expression_id> children);
  expression_id choice(std::vector<expression_id> children);
  expression_id repeat(expression_id child, std::uint32_t min, std::uint32_t max);
  expression_id optional(expression_id child) { return repeat(child, 0, 1); }
  expression_id call(rule_id rule);
  expression_id joined(std::vector<expression_id> children, std::vector<bool> optional, expression_id separator,
                       omission omits);

  /// A rule without a body yet, so that it can be called before it is defined.
  rule_id declare(std::string name);
  void define(rule_id id, expression_id body) { rules_[id].body = body; }

  const expression& at(expression_id id) const { return expressions_[id]; }
  rule& rule_at(rule_id id) { return rules_[id]; }
  const rule& rule_at(rule_id id) const { return rules_[id]; }
  std::size_t n_rules() const { return rules_.size(); }
  std::size_t n_expressions() const { return expressions_.size(); }

  rule_id root = 0;

 private:
  expression_id add(expression made);

  std::vector<expression> expressions_;
  std::vector<rule> rules_;
};

}  // namespace troupe::grammar
