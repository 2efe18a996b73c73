#include "runtime/template/operators.hpp"

#include "base/utf8.hpp"
#include "runtime/template/methods.hpp"
#include "runtime/template/strings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe::jinja {

namespace {

[[noreturn]] void wrong_operands(std::string_view what, const value& left, const value& right) {
  left.require_defined();
  right.require_defined();
  fail("cannot " + std::string(what) + " " + left.described() + " and " + right.described());
}

[[noreturn]] void overflow() {
  fail("the result of an integer operation does not fit 64 bits");
}
[[noreturn]] void division_by_zero() {
  fail("division by zero");
}

template <class Operation>
std::int64_t checked(Operation operation, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  if (operation(left, right, &result)) overflow();
  return result;
}

std::int64_t multiply(std::int64_t left, std::int64_t right) {
  return checked([](auto a, auto b, auto* r) { return __builtin_mul_overflow(a, b, r); }, left, right);
}

std::int64_t floor_divide(std::int64_t left, std::int64_t right) {
  if (right == 0) division_by_zero();
  if (left == std::numeric_limits<std::int64_t>::min() && right == -1) overflow();
  return left / right - (left % right != 0 && (left < 0) != (right < 0) ? 1 : 0);
}

std::int64_t modulo(std::int64_t left, std::int64_t right) {
  if (right == 0) division_by_zero();
  if (right == -1) return 0;  // the smallest integer % -1 traps
  const std::int64_t rest = left % right;
  return rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest;
}

double modulo(double left, double right) {
  if (right == 0) division_by_zero();
  const double rest = std::fmod(left, right);
  if (rest == 0) return std::copysign(0.0, right);
  return (rest < 0) != (right < 0) ? rest + right : rest;
}

// As CPython computes it, so that a quotient just below an integer is not rounded up to it.
double floor_divide(double left, double right) {
  if (right == 0) division_by_zero();
  const double quotient = (left - modulo(left, right)) / right;
  if (quotient == 0) return std::copysign(0.0, left / right);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent != 0) {
    if (exponent & 1) result = multiply(result, base);
    exponent >>= 1;
    if (exponent != 0) base = multiply(base, base);
  }
  return result;
}

value integer_arithmetic(arithmetic operation, std::int64_t left, std::int64_t right) {
  switch (operation) {
    case arithmetic::add:
      return value::integer(
          checked([](auto a, auto b, auto* r) { return __builtin_add_overflow(a, b, r); }, left, right));
    case arithmetic::subtract:
      return value::integer(
          checked([](auto a, auto b, auto* r) { return __builtin_sub_overflow(a, b, r); }, left, right));
    case arithmetic::multiply:
      return value::integer(multiply(left, right));
    case arithmetic::divide:
      if (right == 0) division_by_zero();
      return value::real(static_cast<double>(left) / static_cast<double>(right));
    case arithmetic::floor_divide:
      return value::integer(floor_divide(left, right));
    case arithmetic::modulo:
      return value::integer(modulo(left, right));
    case arithmetic::power:
      if (right >= 0) return value::integer(power(left, right));
      if (left == 0) division_by_zero();
      return value::real(std::pow(static_cast<double>(left), static_cast<double>(right)));
  }
  fail("an unknown operation", errc::internal);
}

value real_arithmetic(arithmetic operation, double left, double right) {
  switch (operation) {
    case arithmetic::add:
      return value::real(left + right);
    case arithmetic::subtract:
      return value::real(left - right);
    case arithmetic::multiply:
      return value::real(left * right);
    case arithmetic::divide:
      if (right == 0) division_by_zero();
      return value::real(left / right);
    case arithmetic::floor_divide:
      return value::real(floor_divide(left, right));
    case arithmetic::modulo:
      return value::real(modulo(left, right));
    case arithmetic::power: {
      if (left == 0 && right < 0) division_by_zero();
      const double result = std::pow(left, right);
      if (std::isnan(result) && !std::isnan(left) && !std::isnan(right)) {
        fail_unsupported("a power with a complex result is not supported");
      }
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) fail("the result of a power is too large");
      return value::real(result);
    }
  }
  fail("an unknown operation", errc::internal);
}

value repeat(const value& what, std::int64_t times, budget& limits) {
  if (what.is_string()) {
    text_builder out(limits);
    for (; times > 0 && !what.text().empty(); --times) {
      limits.step();
      out.append(what.text());
    }
    return value::string(out);
  }
  value_list items;
  for (; times > 0 && !what.items().empty(); --times) {
    limits.bytes(what.items().size() * sizeof(value));
    items.insert(items.end(), what.items().begin(), what.items().end());
  }
  return value::list(std::move(items), limits, what.kind());
}

bool can_repeat(const value& v) {
  return v.is_string() || v.is(kind::list) || v.is(kind::tuple);
}

value add(const value& left, const value& right, budget& limits) {
  if (left.is_string() && right.is_string()) {
    text_builder out(limits);
    out.append(left.text());
    out.append(right.text());
    return value::string(out);
  }
  if (left.kind() == right.kind() && (left.is(kind::list) || left.is(kind::tuple))) {
    limits.bytes((left.items().size() + right.items().size()) * sizeof(value));
    value_list items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return value::list(std::move(items), limits, left.kind());
  }
  wrong_operands("add", left, right);
}

constexpr std::string_view verb(arithmetic operation) {
  constexpr std::string_view verbs[] = {"add",  "subtract", "multiply", "divide", "divide", "take the remainder of",
                                        "raise"};
  return verbs[static_cast<std::size_t>(operation)];
}

}  // namespace

value apply(arithmetic operation, const value& left, const value& right, budget& limits) {
  if (left.is_integral() && right.is_integral())
    return integer_arithmetic(operation, left.as_integer(), right.as_integer());
  if (left.is_number() && right.is_number()) return real_arithmetic(operation, left.as_real(), right.as_real());
  if (operation == arithmetic::add) return add(left, right, limits);
  if (operation == arithmetic::multiply && can_repeat(left) && right.is_integral()) {
    return repeat(left, right.as_integer(), limits);
  }
  if (operation == arithmetic::multiply && left.is_integral() && can_repeat(right)) {
    return repeat(right, left.as_integer(), limits);
  }
  if (operation == arithmetic::modulo && left.is_string()) {
    fail_unsupported("formatting with % is not supported; concatenate with ~");
  }
  wrong_operands(verb(operation), left, right);
}

value negate(const value& operand) {
  if (operand.is_integral()) return integer_arithmetic(arithmetic::subtract, 0, operand.as_integer());
  if (operand.is(kind::real)) return value::real(-operand.as_real());
  operand.require_defined();
  fail(operand.described() + " has no negative");
}

value keep_sign(const value& operand) {
  if (operand.is_integral()) return value::integer(operand.as_integer());
  if (operand.is(kind::real)) return operand;
  operand.require_defined();
  fail(operand.described() + " has no sign");
}

bool contains(const value& container, const value& item, budget& limits) {
  switch (container.kind()) {
    case kind::string:
      if (!item.is_string()) {
        item.require_defined();
        fail("only a str can be in a str, not " + item.described());
      }
      limits.step(container.text().size() / 256);
      return container.text().find(item.text()) != std::string::npos;
    case kind::dict:
      return find_key(container, item, limits) != nullptr;
    case kind::list:
    case kind::tuple:
    case kind::range:
      return std::any_of(container.items().begin(), container.items().end(),
                         [&](const value& each) { return equal(each, item, limits); });
    default: {
      const value_list items = iterate(container, limits);
      return std::any_of(items.begin(), items.end(), [&](const value& each) { return equal(each, item, limits); });
    }
  }
}

namespace {

value loop_attribute(const value& loop, std::string_view name, budget& limits) {
  const loop_state& state = *loop.loop();
  const auto index0 = static_cast<std::int64_t>(state.index0);
  const auto count = static_cast<std::int64_t>(state.items.size());
  if (name == "index") return value::integer(index0 + 1);
  if (name == "index0") return value::integer(index0);
  if (name == "revindex") return value::integer(count - index0);
  if (name == "revindex0") return value::integer(count - index0 - 1);
  if (name == "first") return value::boolean(index0 == 0);
  if (name == "last") return value::boolean(index0 + 1 == count);
  if (name == "length") return value::integer(count);
  if (name == "depth") return value::integer(1);  // only recursive loops, which are not supported, go deeper
  if (name == "depth0") return value::integer(0);
  if (name == "previtem") {
    return index0 == 0 ? value::undefined("there is no previous item") : state.items[state.index0 - 1];
  }
  if (name == "nextitem") {
    return index0 + 1 == count ? value::undefined("there is no next item") : state.items[state.index0 + 1];
  }
  return find_method(loop, name, limits)
      .value_or(value::undefined("'loop' has no attribute '" + std::string(name) + "'"));
}

std::optional<value> own_attribute(const value& object, std::string_view name, budget& limits) {
  if (object.is(kind::loop)) return loop_attribute(object, name, limits);
  if (object.is(kind::name_space)) {
    for (const auto& [member, held] : object.space()->members) {
      if (member == name) return held;
    }
    return std::nullopt;
  }
  return find_method(object, name, limits);
}

value missing(const value& object, std::string_view name) {
  return value::undefined(object.described() + " has no attribute '" + std::string(name) + "'");
}

}  // namespace

value attribute(const value& object, std::string_view name, budget& limits) {
  object.require_defined();
  if (auto own = own_attribute(object, name, limits)) return *std::move(own);
  if (object.is(kind::dict)) {
    if (const value* entry = find_key(object, name, limits)) return *entry;
  }
  return missing(object, name);
}

value subscript(const value& object, const value& key, budget& limits) {
  object.require_defined();
  if (object.is(kind::dict) && !key.is_undefined() && !key.is(kind::list) && !key.is(kind::dict)) {
    if (const value* entry = find_key(object, key, limits)) return *entry;
  } else if (object.is_sequence() && key.is_integral()) {
    const auto count = static_cast<std::int64_t>(object.items().size());
    const std::int64_t at = key.as_integer() < 0 ? key.as_integer() + count : key.as_integer();
    if (at >= 0 && at < count) return object.items()[static_cast<std::size_t>(at)];
  } else if (object.is_string() && key.is_integral()) {
    limits.step(object.text().size() / 64);
    if (auto character = character_at(object.text(), key.as_integer()))
      return value::string(*std::move(character), limits);
  }
  if (!key.is_string()) return value::undefined(object.described() + " has no such element");
  return own_attribute(object, key.text(), limits).value_or(missing(object, key.text()));
}

value slice(const value& object, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
            std::optional<std::int64_t> step, budget& limits) {
  object.require_defined();
  if (object.is_string()) {
    std::vector<std::string_view> characters;
    limits.bytes(object.text().size() * sizeof(std::string_view));
    for (std::string_view rest = object.text(); !rest.empty(); rest.remove_prefix(characters.back().size())) {
      characters.push_back(rest.substr(0, decode_utf8(rest).length));
    }
    const slice_bounds bounds = resolve_slice(characters.size(), start, stop, step);
    std::string text;
    for (std::int64_t i = 0; i < bounds.count; ++i)
      text += characters[static_cast<std::size_t>(bounds.start + i * bounds.step)];
    return value::string(std::move(text), limits);
  }
  if (!object.is_sequence()) return value::undefined(object.described() + " cannot be sliced");
  const slice_bounds bounds = resolve_slice(object.items().size(), start, stop, step);
  value_list items;
  for (std::int64_t i = 0; i < bounds.count; ++i) {
    items.push_back(object.items()[static_cast<std::size_t>(bounds.start + i * bounds.step)]);
  }
  return value::list(std::move(items), limits, object.kind());
}

}  // namespace troupe::jinja
