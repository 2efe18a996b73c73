#include "runtime/template/parser.hpp"

#include <algorithm>
#include <array>

namespace troupe::jinja {

template <class Node>
expression_ptr expression_parser::make(int line, Node node, int operand_depth) {
  if (operand_depth >= max_expression_depth) {
    tokens_.fail_here("an expression is more than " + std::to_string(max_expression_depth) + " operations deep");
  }
  return std::make_unique<const expression>(expression{line, operand_depth + 1, std::move(node)});
}

int expression_parser::depth_of_arguments(const call_arguments& args) const {
  int depth = 0;
  for (const auto& argument : args.positional)
    depth = std::max(depth, depth_of(argument));
  for (const auto& argument : args.named)
    depth = std::max(depth, depth_of(argument.second));
  return depth;
}

expression_ptr expression_parser::parse(bool with_conditional) {
  const nesting_guard guard(nesting_, tokens_);
  return with_conditional ? parse_conditional() : parse_or();
}

expression_ptr expression_parser::parse_tuple(bool with_conditional, bool in_parentheses) {
  const int line = tokens_.line();
  const auto ends = [&] {
    return tokens_.at(token_kind::variable_end) || tokens_.at(token_kind::block_end) || tokens_.at_symbol(")");
  };
  std::vector<expression_ptr> items;
  bool is_tuple = false;
  while (!ends()) {
    items.push_back(parse(with_conditional));
    if (!tokens_.skip_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && items.size() == 1) return std::move(items.front());
  if (items.empty() && !in_parentheses) tokens_.fail_unexpected("an expression");
  int depth = 0;
  for (const auto& item : items)
    depth = std::max(depth, depth_of(item));
  return make(line, sequence_display{std::move(items), true}, depth);
}

expression_ptr expression_parser::parse_conditional() {
  int line = tokens_.line();
  expression_ptr then = parse_or();
  while (tokens_.skip_name("if")) {
    expression_ptr condition = parse_or();
    expression_ptr otherwise;
    if (tokens_.skip_name("else")) {
      const nesting_guard guard(nesting_, tokens_);
      otherwise = parse_conditional();
    }
    const int depth = std::max({depth_of(condition), depth_of(then), depth_of(otherwise)});
    then = make(line, conditional{std::move(condition), std::move(then), std::move(otherwise)}, depth);
    line = tokens_.line();
  }
  return then;
}

expression_ptr expression_parser::parse_or() {
  expression_ptr left = parse_and();
  while (tokens_.at_name("or")) {
    const int line = tokens_.take().line;
    expression_ptr right = parse_and();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, logical_operation{false, std::move(left), std::move(right)}, depth);
  }
  return left;
}

expression_ptr expression_parser::parse_and() {
  expression_ptr left = parse_not();
  while (tokens_.at_name("and")) {
    const int line = tokens_.take().line;
    expression_ptr right = parse_not();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, logical_operation{true, std::move(left), std::move(right)}, depth);
  }
  return left;
}

expression_ptr expression_parser::parse_not() {
  if (!tokens_.at_name("not")) return parse_comparison();
  const nesting_guard guard(nesting_, tokens_);
  const int line = tokens_.take().line;
  expression_ptr operand = parse_not();
  const int depth = depth_of(operand);
  return make(line, negation{std::move(operand)}, depth);
}

bool expression_parser::at_relation(relation& found) const {
  constexpr std::array<std::pair<std::string_view, relation>, 6> symbols = {{{"==", relation::equal},
                                                                             {"!=", relation::unequal},
                                                                             {"<", relation::less},
                                                                             {"<=", relation::at_most},
                                                                             {">", relation::greater},
                                                                             {">=", relation::at_least}}};
  for (const auto& [symbol, meaning] : symbols) {
    if (!tokens_.at_symbol(symbol)) continue;
    found = meaning;
    return true;
  }
  if (tokens_.at_name("in")) {
    found = relation::in;
    return true;
  }
  if (tokens_.at_name("not") && tokens_.next().kind == token_kind::name && tokens_.next().text == "in") {
    found = relation::not_in;
    return true;
  }
  return false;
}

expression_ptr expression_parser::parse_comparison() {
  const int line = tokens_.line();
  expression_ptr first = parse_sum();
  int depth = depth_of(first);
  std::vector<std::pair<relation, expression_ptr>> rest;
  for (relation found{}; at_relation(found);) {
    tokens_.take();
    if (found == relation::not_in) tokens_.take();
    rest.emplace_back(found, parse_sum());
    depth = std::max(depth, depth_of(rest.back().second));
  }
  if (rest.empty()) return first;
  return make(line, comparison{std::move(first), std::move(rest)}, depth);
}

expression_ptr expression_parser::parse_sum() {
  expression_ptr left = parse_concatenation();
  while (tokens_.at_symbol("+") || tokens_.at_symbol("-")) {
    const token op = tokens_.take();
    expression_ptr right = parse_concatenation();
    const int depth = std::max(depth_of(left), depth_of(right));
    const arithmetic operation = op.text == "+" ? arithmetic::add : arithmetic::subtract;
    left = make(op.line, binary_operation{operation, std::move(left), std::move(right)}, depth);
  }
  return left;
}

expression_ptr expression_parser::parse_concatenation() {
  const int line = tokens_.line();
  std::vector<expression_ptr> parts;
  int depth = 0;
  do {
    parts.push_back(parse_product());
    depth = std::max(depth, depth_of(parts.back()));
  } while (tokens_.skip_symbol("~"));
  if (parts.size() == 1) return std::move(parts.front());
  return make(line, concatenation{std::move(parts)}, depth);
}

expression_ptr expression_parser::parse_product() {
  expression_ptr left = parse_power();
  while (tokens_.at_symbol("*") || tokens_.at_symbol("/") || tokens_.at_symbol("//") || tokens_.at_symbol("%")) {
    const token op = tokens_.take();
    expression_ptr right = parse_power();
    const int depth = std::max(depth_of(left), depth_of(right));
    const arithmetic operation = op.text == "*"    ? arithmetic::multiply
                                 : op.text == "/"  ? arithmetic::divide
                                 : op.text == "//" ? arithmetic::floor_divide
                                                   : arithmetic::modulo;
    left = make(op.line, binary_operation{operation, std::move(left), std::move(right)}, depth);
  }
  return left;
}

expression_ptr expression_parser::parse_power() {
  expression_ptr left = parse_unary();
  while (tokens_.at_symbol("**")) {  // jinja2 groups it from the left, unlike Python
    const int line = tokens_.take().line;
    expression_ptr right = parse_unary();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, binary_operation{arithmetic::power, std::move(left), std::move(right)}, depth);
  }
  return left;
}

expression_ptr expression_parser::parse_unary(bool with_filters) {
  expression_ptr operand;
  if (tokens_.at_symbol("-") || tokens_.at_symbol("+")) {
    const nesting_guard guard(nesting_, tokens_);
    const token op = tokens_.take();
    operand = parse_unary(false);
    const int depth = depth_of(operand);
    operand = make(op.line, signed_expression{op.text == "-" ? sign::minus : sign::plus, std::move(operand)}, depth);
  } else {
    operand = parse_primary();
  }
  operand = parse_postfix(std::move(operand));
  return with_filters ? parse_postfix_and_filters(std::move(operand)) : std::move(operand);
}

expression_ptr expression_parser::parse_primary() {
  const int line = tokens_.line();
  switch (tokens_.current().kind) {
    case token_kind::name:
      return parse_name();
    case token_kind::string: {
      std::string text = tokens_.take().text;
      while (tokens_.at(token_kind::string))
        text += tokens_.take().text;
      return make(line, literal{value::constant(std::move(text))}, 0);
    }
    case token_kind::integer:
      return make(line, literal{value::integer(tokens_.take().integer)}, 0);
    case token_kind::real:
      return make(line, literal{value::real(tokens_.take().real)}, 0);
    default:
      break;
  }
  if (tokens_.skip_symbol("(")) {
    expression_ptr inner = parse_tuple(true, true);
    tokens_.expect_symbol(")");
    return inner;
  }
  if (tokens_.at_symbol("[")) return parse_list();
  if (tokens_.at_symbol("{")) return parse_dict();
  tokens_.fail_unexpected("an expression");
}

expression_ptr expression_parser::parse_name() {
  const token name = tokens_.take();
  if (name.text == "true" || name.text == "True") return make(name.line, literal{value::boolean(true)}, 0);
  if (name.text == "false" || name.text == "False") return make(name.line, literal{value::boolean(false)}, 0);
  if (name.text == "none" || name.text == "None") return make(name.line, literal{value::none()}, 0);
  return make(name.line, variable{name.text}, 0);
}

expression_ptr expression_parser::parse_list() {
  const int line = tokens_.take().line;
  std::vector<expression_ptr> items;
  int depth = 0;
  while (!tokens_.at_symbol("]")) {
    items.push_back(parse());
    depth = std::max(depth, depth_of(items.back()));
    if (!tokens_.skip_symbol(",")) break;
  }
  tokens_.expect_symbol("]");
  return make(line, sequence_display{std::move(items), false}, depth);
}

expression_ptr expression_parser::parse_dict() {
  const int line = tokens_.take().line;
  dict_display dict;
  int depth = 0;
  while (!tokens_.at_symbol("}")) {
    expression_ptr key = parse();
    tokens_.expect_symbol(":");
    expression_ptr item = parse();
    depth = std::max({depth, depth_of(key), depth_of(item)});
    dict.entries.emplace_back(std::move(key), std::move(item));
    if (!tokens_.skip_symbol(",")) break;
  }
  tokens_.expect_symbol("}");
  return make(line, std::move(dict), depth);
}

expression_ptr expression_parser::parse_postfix(expression_ptr operand) {
  while (true) {
    if (tokens_.at_symbol(".") || tokens_.at_symbol("[")) {
      operand = parse_subscript(std::move(operand));
    } else if (tokens_.at_symbol("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

expression_ptr expression_parser::parse_postfix_and_filters(expression_ptr operand) {
  while (true) {
    if (tokens_.at_symbol("|")) {
      operand = parse_filter(std::move(operand));
    } else if (tokens_.at_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (tokens_.at_symbol("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

expression_ptr expression_parser::parse_subscript(expression_ptr object) {
  const token bracket = tokens_.take();
  int depth = depth_of(object);
  if (bracket.text == ".") {
    if (tokens_.at(token_kind::integer)) {
      expression_ptr key = make(bracket.line, literal{value::integer(tokens_.take().integer)}, 0);
      return make(bracket.line, subscript_access{std::move(object), std::move(key)}, depth);
    }
    return make(bracket.line, attribute_access{std::move(object), tokens_.expect_name()}, depth);
  }
  std::array<expression_ptr, 3> bounds;
  std::size_t colons = 0;
  while (!tokens_.at_symbol("]")) {
    if (tokens_.at_symbol(":") && colons < 2) {
      tokens_.take();
      ++colons;
    } else if (bounds.at(colons) == nullptr && !tokens_.at_symbol(",")) {
      bounds.at(colons) = parse();
      depth = std::max(depth, depth_of(bounds.at(colons)));
    } else {
      tokens_.fail_unexpected("']'");
    }
  }
  tokens_.expect_symbol("]");
  if (colons > 0) {
    return make(bracket.line,
                slice_access{std::move(object), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])},
                depth);
  }
  if (bounds[0] == nullptr) tokens_.fail_here("a subscript is empty: [ ] wants a key, a position or a slice");
  return make(bracket.line, subscript_access{std::move(object), std::move(bounds[0])}, depth);
}

expression_ptr expression_parser::parse_call(expression_ptr callee) {
  const int line = tokens_.line();
  call_arguments args = parse_arguments();
  const int depth = std::max(depth_of(callee), depth_of_arguments(args));
  return make(line, call{std::move(callee), std::move(args)}, depth);
}

call_arguments expression_parser::parse_arguments() {
  tokens_.expect_symbol("(");
  call_arguments args;
  while (!tokens_.at_symbol(")")) {
    if (tokens_.at_symbol("*") || tokens_.at_symbol("**")) {
      tokens_.fail_unsupported_here("arguments from a list or dict (*args, **kwargs) are not supported");
    }
    if (tokens_.at(token_kind::name) && tokens_.next().kind == token_kind::symbol && tokens_.next().text == "=") {
      std::string name = tokens_.expect_name();
      tokens_.take();
      for (const auto& [earlier, unused] : args.named) {
        if (earlier == name) tokens_.fail_here("the argument '" + name + "' is given twice");
      }
      args.named.emplace_back(std::move(name), parse());
    } else {
      if (!args.named.empty()) tokens_.fail_here("an argument without a name follows one with a name");
      args.positional.push_back(parse());
    }
    if (!tokens_.skip_symbol(",")) break;
  }
  tokens_.expect_symbol(")");
  return args;
}

filter_use expression_parser::parse_filter_use() {
  tokens_.expect_symbol("|");
  if (!tokens_.at(token_kind::name)) tokens_.fail_unexpected("the name of a filter");
  const filter_function function = find_filter(tokens_.current().text);
  if (function == nullptr) tokens_.fail_unsupported_here("there is no filter '" + tokens_.current().text + "'");
  tokens_.take();
  return {function, tokens_.at_symbol("(") ? parse_arguments() : call_arguments{}};
}

std::vector<filter_use> expression_parser::parse_filters() {
  std::vector<filter_use> filters;
  while (tokens_.at_symbol("|"))
    filters.push_back(parse_filter_use());
  return filters;
}

expression_ptr expression_parser::parse_filter(expression_ptr input) {
  const int line = tokens_.line();
  filter_use filter = parse_filter_use();
  const int depth = std::max(depth_of(input), depth_of_arguments(filter.args));
  return make(line, filter_call{std::move(input), std::move(filter)}, depth);
}

expression_ptr expression_parser::parse_test(expression_ptr input) {
  const int line = tokens_.take().line;
  const bool negated = tokens_.skip_name("not");
  if (!tokens_.at(token_kind::name)) tokens_.fail_unexpected("the name of a test");
  const test_function function = find_test(tokens_.current().text);
  if (function == nullptr) tokens_.fail_unsupported_here("there is no test '" + tokens_.current().text + "'");
  tokens_.take();
  call_arguments args;
  const bool at_operand =
      tokens_.at(token_kind::string) || tokens_.at(token_kind::integer) || tokens_.at(token_kind::real) ||
      tokens_.at_symbol("[") || tokens_.at_symbol("{") ||
      (tokens_.at(token_kind::name) && !tokens_.at_name("else") && !tokens_.at_name("or") && !tokens_.at_name("and"));
  if (tokens_.at_symbol("(")) {
    args = parse_arguments();
  } else if (at_operand) {
    if (tokens_.at_name("is")) tokens_.fail_here("tests cannot be chained: use 'and' between them");
    const nesting_guard guard(nesting_, tokens_);
    args.positional.push_back(parse_postfix(parse_primary()));
  }
  const int depth = std::max(depth_of(input), depth_of_arguments(args));
  expression_ptr test = make(line, test_call{std::move(input), function, std::move(args)}, depth);
  return negated ? make(line, negation{std::move(test)}, depth + 1) : std::move(test);
}

}  // namespace troupe::jinja
