// The parsed template. Nodes are plain structs, owned by their parents, and never change after parsing.
#pragma once

#include "runtime/template/filters.hpp"
#include "runtime/template/operators.hpp"
#include "runtime/template/value.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::jinja {

struct expression;
using expression_ptr = std::unique_ptr<const expression>;

struct call_arguments {
  std::vector<expression_ptr> positional;
  std::vector<std::pair<std::string, expression_ptr>> named;
};

struct literal {
  value constant;
};
struct variable {
  std::string name;
};
struct sequence_display {
  std::vector<expression_ptr> items;
  bool is_tuple;
};
struct dict_display {
  std::vector<std::pair<expression_ptr, expression_ptr>> entries;
};
struct attribute_access {
  expression_ptr object;
  std::string name;
};
struct subscript_access {
  expression_ptr object, key;
};
struct slice_access {
  expression_ptr object, start, stop, step;  // absent bounds are null
};
struct call {
  expression_ptr callee;
  call_arguments args;
};
struct filter_use {
  filter_function function;
  call_arguments args;
};
struct filter_call {
  expression_ptr input;
  filter_use filter;
};
struct test_call {
  expression_ptr input;
  test_function function;
  call_arguments args;
};
enum class sign : unsigned char { plus, minus };
struct signed_expression {
  sign which;
  expression_ptr operand;
};
struct negation {
  expression_ptr operand;
};
struct binary_operation {
  arithmetic operation;
  expression_ptr left, right;
};
struct logical_operation {
  bool is_and;
  expression_ptr left, right;
};
enum class relation : unsigned char { equal, unequal, less, at_most, greater, at_least, in, not_in };
struct comparison {
  expression_ptr first;
  std::vector<std::pair<relation, expression_ptr>> rest;  // a < b < c
};
struct concatenation {
  std::vector<expression_ptr> parts;
};
struct conditional {
  expression_ptr condition, then, otherwise;  // otherwise may be null: undefined
};

struct expression {
  int line;
  int depth;  // 1 + the deepest operand's
  std::variant<literal, variable, sequence_display, dict_display, attribute_access, subscript_access, slice_access,
               call, filter_call, test_call, signed_expression, negation, binary_operation, logical_operation,
               comparison, concatenation, conditional>
      node;
};

inline int depth_of(const expression_ptr& e) {
  return e == nullptr ? 0 : e->depth;
}

struct statement;
using body = std::vector<statement>;

/// `name`, or `namespace.attribute`.
struct target_name {
  std::string name, attribute;
};
struct assignment_target {
  std::vector<target_name> names;
  bool unpacks;  // a, b = …
};

struct text_output {
  std::string text;
};
struct expression_output {
  expression_ptr shown;
};
struct if_block {
  std::vector<std::pair<expression_ptr, body>> branches;
  body otherwise;
};
struct for_block {
  assignment_target target;
  expression_ptr iterable, filter;  // filter may be null
  body each, otherwise;
};
struct set_value {
  assignment_target target;
  expression_ptr assigned;
};
struct set_captured {
  assignment_target target;
  std::vector<filter_use> filters;
  body captured;
};
struct macro_definition {
  std::string name;
  std::vector<std::pair<std::string, expression_ptr>> parameters;  // with their defaults, or null
  body content;
};
struct scoped_block {  // {% generation %}: what is set inside stays inside
  body content;
};
struct break_loop {};
struct continue_loop {};

struct statement {
  int line;
  std::variant<text_output, expression_output, if_block, for_block, set_value, set_captured, macro_definition,
               scoped_block, break_loop, continue_loop>
      node;
};

}  // namespace troupe::jinja
