#include "runtime/grammar/expression.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"

#include <utility>

namespace troupe::grammar {

expression_id rule_set::add(expression made) {
  if (expressions_.size() >= max_expressions)
    fail_too_large("the grammar has more than " + std::to_string(max_expressions) + " parts");
  expressions_.push_back(std::move(made));
  return static_cast<expression_id>(expressions_.size() - 1);
}

expression_id rule_set::literal(std::string_view bytes) {
  expression made;
  made.bytes = bytes;
  return add(std::move(made));
}

expression_id rule_set::character(code_set set) {
  expression made;
  made.kind = expression_kind::character;
  made.set = std::move(set);
  return add(std::move(made));
}

expression_id rule_set::sequence(std::vector<expression_id> children) {
  if (children.size() == 1) return children[0];
  expression made;
  made.kind = expression_kind::sequence;
  made.children = std::move(children);
  return add(std::move(made));
}

expression_id rule_set::choice(std::vector<expression_id> children) {
  if (children.size() == 1) return children[0];
  expression made;
  made.kind = expression_kind::choice;
  made.children = std::move(children);
  return add(std::move(made));
}

expression_id rule_set::repeat(expression_id child, std::uint32_t min, std::uint32_t max) {
  expression made;
  made.kind = expression_kind::repeat;
  made.children = {child};
  made.min = min;
  made.max = max;
  return add(std::move(made));
}

expression_id rule_set::call(rule_id rule) {
  expression made;
  made.kind = expression_kind::call;
  made.rule = rule;
  return add(std::move(made));
}

expression_id rule_set::joined(std::vector<expression_id> children, std::vector<bool> optional, expression_id separator,
                               omission omits) {
  expression made;
  made.kind = expression_kind::joined;
  made.children = std::move(children);
  made.optional = std::move(optional);
  made.separator = separator;
  made.omits = omits;
  return add(std::move(made));
}

rule_id rule_set::declare(std::string name) {
  if (rules_.size() >= max_rules) fail_too_large("the grammar has more than " + std::to_string(max_rules) + " rules");
  rules_.push_back({.name = std::move(name)});
  return static_cast<rule_id>(rules_.size() - 1);
}

}  // namespace troupe::grammar
