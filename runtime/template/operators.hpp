// Arithmetic, comparison, membership, attributes and subscripts, with Python's results. An integer that leaves 64 bits
// is an error, where Python's would grow.
#pragma once

#include "runtime/template/value.hpp"

#include <optional>
#include <string_view>

namespace troupe::jinja {

enum class arithmetic : unsigned char { add, subtract, multiply, divide, floor_divide, modulo, power };

value apply(arithmetic operation, const value& left, const value& right, budget& limits);
value negate(const value& operand);
value keep_sign(const value& operand);  // unary +
/// left in right
bool contains(const value& container, const value& item, budget& limits);

/// object.name: a method or a member first, then a key of a dict; undefined when there is neither.
value attribute(const value& object, std::string_view name, budget& limits);
/// object[key]: a key or position first, then an attribute.
value subscript(const value& object, const value& key, budget& limits);
/// object[start:stop:step]
value slice(const value& object, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
            std::optional<std::int64_t> step, budget& limits);

}  // namespace troupe::jinja
