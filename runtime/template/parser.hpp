// Recursive descent over the tokens of a template; precedences are jinja2's. Filters and tests are looked up here, so
// that a template with an unknown one is refused before it runs.
#pragma once

#include "runtime/template/ast.hpp"
#include "runtime/template/lexer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

/// Where the parser stands in the tokens.
class token_cursor {
 public:
  explicit token_cursor(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

  const token& current() const { return tokens_[at_]; }
  const token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return current().line; }
  token take();

  bool at(token_kind kind) const { return current().kind == kind; }
  bool at_symbol(std::string_view symbol) const { return at(token_kind::symbol) && current().text == symbol; }
  bool at_name(std::string_view name) const { return at(token_kind::name) && current().text == name; }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  std::string expect_name();
  void expect(token_kind kind, std::string_view what);

  [[noreturn]] void fail_here(const std::string& message) const;
  [[noreturn]] void fail_unsupported_here(const std::string& message) const;
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

 private:
  std::vector<token> tokens_;
  std::size_t at_ = 0;
};

/// Counts brackets and blocks within one another, on behalf of a scope.
class nesting_guard {
 public:
  nesting_guard(int& nesting, const token_cursor& tokens) : nesting_(nesting) {
    if (nesting_ >= max_source_nesting) {
      tokens.fail_here("the template is nested deeper than " + std::to_string(max_source_nesting) + " levels");
    }
    ++nesting_;
  }
  ~nesting_guard() { --nesting_; }
  nesting_guard(const nesting_guard&) = delete;
  nesting_guard& operator=(const nesting_guard&) = delete;

 private:
  int& nesting_;
};

class expression_parser {
 public:
  expression_parser(token_cursor& tokens, int& nesting) : tokens_(tokens), nesting_(nesting) {}

  expression_ptr parse(bool with_conditional = true);
  /// One expression, or several with commas between: a tuple.
  expression_ptr parse_tuple(bool with_conditional = true, bool in_parentheses = false);
  /// "| a | b(1)", possibly nothing.
  std::vector<filter_use> parse_filters();

 private:
  template <class Node>
  expression_ptr make(int line, Node node, int operand_depth);
  int depth_of_arguments(const call_arguments& args) const;

  expression_ptr parse_conditional();
  expression_ptr parse_or();
  expression_ptr parse_and();
  expression_ptr parse_not();
  expression_ptr parse_comparison();
  expression_ptr parse_sum();
  expression_ptr parse_concatenation();
  expression_ptr parse_product();
  expression_ptr parse_power();
  expression_ptr parse_unary(bool with_filters = true);
  expression_ptr parse_primary();
  expression_ptr parse_name();
  expression_ptr parse_list();
  expression_ptr parse_dict();
  expression_ptr parse_postfix(expression_ptr operand);
  expression_ptr parse_postfix_and_filters(expression_ptr operand);
  expression_ptr parse_subscript(expression_ptr object);
  expression_ptr parse_call(expression_ptr callee);
  expression_ptr parse_filter(expression_ptr input);
  expression_ptr parse_test(expression_ptr input);
  filter_use parse_filter_use();
  call_arguments parse_arguments();
  bool at_relation(relation& found) const;

  token_cursor& tokens_;
  int& nesting_;
};

/// The whole template. Throws failure, naming the line.
body parse_template(std::string_view source);

}  // namespace troupe::jinja
