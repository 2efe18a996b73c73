// What rules are to one another, found without reading text: which match the empty text, which call themselves first,
// which are in a cycle, and which are small enough to be written out where they are called.
#pragma once

#include "runtime/grammar/expression.hpp"

#include <vector>

namespace troupe::grammar {

/// For each rule, whether it matches the empty text.
std::vector<bool> find_nullable(const rule_set& rules);

/// A rule that can call itself, through others or not, before anything is read; `nothing` when there is none.
rule_id find_left_recursion(const rule_set& rules);

/// For each rule, whether its calls become copies of its body. Never a rule in a cycle; small rules, and those called
/// once, because fewer calls make fewer tokens depend on the stack. Large ones that repeat without bound (strings) stay
/// calls, so that their masks are shared by all callers.
std::vector<bool> choose_inlined(const rule_set& rules);

/// Whether the expression matches the empty text, given which rules do.
bool is_nullable(const rule_set& rules, expression_id id, const std::vector<bool>& nullable);

}  // namespace troupe::grammar
