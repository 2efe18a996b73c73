// The renderer's half that computes the values of expressions.
#include "runtime/template/renderer.hpp"
#include "runtime/template/value_text.hpp"

#include <variant>

namespace troupe::jinja {

value renderer::evaluate(const expression_ptr& e, const scope& names) {
  limits_.step();
  const budget::level level(limits_);
  line_ = e->line;
  return std::visit([&](const auto& node) { return compute(node, names); }, e->node);
}

arguments renderer::evaluate(const call_arguments& args, const scope& names) {
  arguments evaluated;
  for (const auto& argument : args.positional)
    evaluated.positional.push_back(evaluate(argument, names));
  for (const auto& [name, argument] : args.named)
    evaluated.named.emplace_back(name, evaluate(argument, names));
  return evaluated;
}

value renderer::compute(const literal& node, const scope&) {
  return node.constant;
}

value renderer::compute(const variable& node, const scope& names) {
  if (const value* found = names.find(node.name)) return *found;
  // strftime_now is a function whatever the context says: a number under its name is the clock (chat_template.hpp).
  if (node.name != "strftime_now") {
    if (const value* found = find_key(context_, node.name, limits_)) return *found;
  }
  if (auto function = find_function(node.name, spaces_, now_unix_seconds_)) return *std::move(function);
  return value::undefined("'" + node.name + "' is undefined");
}

value renderer::compute(const sequence_display& node, const scope& names) {
  value_list items;
  for (const auto& item : node.items)
    items.push_back(evaluate(item, names));
  return value::list(std::move(items), limits_, node.is_tuple ? kind::tuple : kind::list);
}

value renderer::compute(const dict_display& node, const scope& names) {
  value_pairs entries;
  for (const auto& [key_expression, item_expression] : node.entries) {
    const value key = evaluate(key_expression, names);
    value item = evaluate(item_expression, names);
    limits_.step(1 + entries.size() / 16);
    const auto same =
        std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return equal(e.first, key, limits_); });
    if (same == entries.end()) {
      entries.emplace_back(key, std::move(item));
    } else {
      same->second = std::move(item);
    }
  }
  return value::dict(std::move(entries), limits_);
}

value renderer::compute(const attribute_access& node, const scope& names) {
  const value object = evaluate(node.object, names);
  return attribute(object, node.name, limits_);
}

value renderer::compute(const subscript_access& node, const scope& names) {
  const value object = evaluate(node.object, names);
  const value key = evaluate(node.key, names);
  return subscript(object, key, limits_);
}

std::optional<std::int64_t> renderer::slice_bound(const expression_ptr& e, const scope& names) {
  if (e == nullptr) return std::nullopt;
  const value bound = evaluate(e, names);
  if (bound.is(kind::none)) return std::nullopt;
  bound.require_defined();
  if (!bound.is_integral()) fail("the bounds of a slice are integers, not " + bound.described());
  return bound.as_integer();
}

value renderer::compute(const slice_access& node, const scope& names) {
  const value object = evaluate(node.object, names);
  const auto start = slice_bound(node.start, names);
  const auto stop = slice_bound(node.stop, names);
  const auto step = slice_bound(node.step, names);
  return slice(object, start, stop, step, limits_);
}

value renderer::compute(const call& node, const scope& names) {
  const int line = line_;
  const value callee = evaluate(node.callee, names);
  arguments args = evaluate(node.args, names);
  line_ = line;
  callee.require_defined();
  if (!callee.is(kind::callable)) fail(callee.described() + " cannot be called");
  return callee.function()->call(args, limits_);
}

value renderer::apply_filter(const filter_use& filter, const value& input, const scope& names) {
  arguments args = evaluate(filter.args, names);
  return filter.function(input, args, limits_);
}

value renderer::compute(const filter_call& node, const scope& names) {
  const int line = line_;
  const value input = evaluate(node.input, names);
  line_ = line;
  return apply_filter(node.filter, input, names);
}

value renderer::compute(const test_call& node, const scope& names) {
  const value input = evaluate(node.input, names);
  arguments args = evaluate(node.args, names);
  return value::boolean(node.function(input, args, limits_));
}

value renderer::compute(const signed_expression& node, const scope& names) {
  const value operand = evaluate(node.operand, names);
  return node.which == sign::minus ? negate(operand) : keep_sign(operand);
}

value renderer::compute(const negation& node, const scope& names) {
  return value::boolean(!evaluate(node.operand, names).truth());
}

value renderer::compute(const binary_operation& node, const scope& names) {
  const value left = evaluate(node.left, names);
  const value right = evaluate(node.right, names);
  return apply(node.operation, left, right, limits_);
}

value renderer::compute(const logical_operation& node, const scope& names) {
  value left = evaluate(node.left, names);
  return left.truth() == node.is_and ? evaluate(node.right, names) : left;
}

bool renderer::holds(relation wanted, const value& left, const value& right) {
  switch (wanted) {
    case relation::equal:
      return equal(left, right, limits_);
    case relation::unequal:
      return !equal(left, right, limits_);
    case relation::less:
      return less(left, right, limits_);
    case relation::at_most:
      return less(left, right, limits_) || equal(left, right, limits_);
    case relation::greater:
      return less(right, left, limits_);
    case relation::at_least:
      return less(right, left, limits_) || equal(left, right, limits_);
    case relation::in:
      return contains(right, left, limits_);
    case relation::not_in:
      return !contains(right, left, limits_);
  }
  return false;
}

value renderer::compute(const comparison& node, const scope& names) {
  value left = evaluate(node.first, names);
  for (const auto& [wanted, operand] : node.rest) {
    value right = evaluate(operand, names);
    if (!holds(wanted, left, right)) return value::boolean(false);
    left = std::move(right);
  }
  return value::boolean(true);
}

value renderer::compute(const concatenation& node, const scope& names) {
  text_builder text(limits_);
  for (const auto& part : node.parts)
    write_str(text, evaluate(part, names));
  return value::string(text);
}

value renderer::compute(const conditional& node, const scope& names) {
  if (evaluate(node.condition, names).truth()) return evaluate(node.then, names);
  if (node.otherwise != nullptr) return evaluate(node.otherwise, names);
  return value::undefined("the inline if-expression is false and has no else");
}

}  // namespace troupe::jinja
