#include "runtime/template/parser.hpp"

#include <algorithm>
#include <initializer_list>

namespace troupe::jinja {

token token_cursor::take() {
  token taken = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return taken;
}

bool token_cursor::skip_symbol(std::string_view symbol) {
  if (!at_symbol(symbol)) return false;
  take();
  return true;
}

bool token_cursor::skip_name(std::string_view name) {
  if (!at_name(name)) return false;
  take();
  return true;
}

void token_cursor::expect_symbol(std::string_view symbol) {
  if (!skip_symbol(symbol)) fail_unexpected("'" + std::string(symbol) + "'");
}

std::string token_cursor::expect_name() {
  if (!at(token_kind::name)) fail_unexpected("a name");
  return take().text;
}

void token_cursor::expect(token_kind kind, std::string_view what) {
  if (!at(kind)) fail_unexpected(what);
  take();
}

void token_cursor::fail_here(const std::string& message) const {
  fail("line " + std::to_string(line()) + ": " + message);
}

void token_cursor::fail_unsupported_here(const std::string& message) const {
  fail_unsupported("line " + std::to_string(line()) + ": " + message);
}

void token_cursor::fail_unexpected(std::string_view wanted) const {
  std::string found;
  switch (current().kind) {
    case token_kind::end:
      found = "the end of the template";
      break;
    case token_kind::variable_end:
      found = "'}}'";
      break;
    case token_kind::block_end:
      found = "'%}'";
      break;
    case token_kind::data:
      found = "text";
      break;
    case token_kind::string:
      found = "a string";
      break;
    default:
      found = "'" + current().text.substr(0, 40) + "'";
  }
  fail_here("expected " + std::string(wanted) + " but found " + found);
}

namespace {

class template_parser {
 public:
  explicit template_parser(std::vector<token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_, nesting_) {}

  body parse() { return parse_body({}); }

 private:
  using ends = std::initializer_list<std::string_view>;

  bool at_any(ends names) const {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return tokens_.at_name(name); });
  }

  /// Statements up to a tag with one of the names, which is left as the current token. Without names, up to the end of
  /// the source.
  body parse_body(ends names) {
    const nesting_guard guard(nesting_, tokens_);
    body statements;
    while (!tokens_.at(token_kind::end)) {
      const int line = tokens_.line();
      if (tokens_.at(token_kind::data)) {
        statements.push_back({line, text_output{tokens_.take().text}});
      } else if (tokens_.at(token_kind::variable_begin)) {
        tokens_.take();
        statements.push_back({line, expression_output{expressions_.parse_tuple()}});
        tokens_.expect(token_kind::variable_end, "'}}'");
      } else {
        tokens_.expect(token_kind::block_begin, "a tag");
        if (at_any(names)) return statements;
        parse_statement(line, statements);
      }
    }
    if (names.size() > 0) tokens_.fail_here("the template ends before {% " + std::string(*(names.end() - 1)) + " %}");
    return statements;
  }

  body parse_body_to(std::string_view end_name) {
    end_block();
    body content = parse_body({end_name});
    tokens_.take();
    return content;
  }

  void end_block() { tokens_.expect(token_kind::block_end, "'%}'"); }

  void parse_statement(int line, body& statements) {
    if (!tokens_.at(token_kind::name)) tokens_.fail_unexpected("the name of a tag");
    const std::string tag = tokens_.expect_name();
    if (tag == "if") {
      statements.push_back({line, parse_if()});
    } else if (tag == "for") {
      statements.push_back({line, parse_for()});
    } else if (tag == "set") {
      parse_set(line, statements);
    } else if (tag == "macro") {
      statements.push_back({line, parse_macro()});
    } else if (tag == "generation") {
      statements.push_back({line, scoped_block{parse_body_to("endgeneration")}});
    } else if (tag == "break" || tag == "continue") {
      if (loops_ == 0) tokens_.fail_here("{% " + tag + " %} stands outside of a loop");
      if (tag == "break") {
        statements.push_back({line, break_loop{}});
      } else {
        statements.push_back({line, continue_loop{}});
      }
    } else if (tag.starts_with("end") || tag == "else" || tag == "elif") {
      tokens_.fail_here("{% " + tag + " %} has nothing to end here");
    } else {
      tokens_.fail_unsupported_here("the tag {% " + tag + " %} is not supported");
    }
    end_block();
  }

  if_block parse_if() {
    if_block block;
    while (true) {
      expression_ptr condition = expressions_.parse_tuple(false);
      end_block();
      block.branches.emplace_back(std::move(condition), parse_body({"elif", "else", "endif"}));
      const std::string tag = tokens_.expect_name();
      if (tag == "elif") continue;
      if (tag == "else") block.otherwise = parse_body_to("endif");
      return block;
    }
  }

  for_block parse_for() {
    for_block block;
    block.target = parse_target(false);
    if (!tokens_.skip_name("in")) tokens_.fail_unexpected("'in'");
    block.iterable = expressions_.parse_tuple(false);
    if (tokens_.skip_name("if")) block.filter = expressions_.parse();
    if (tokens_.at_name("recursive")) tokens_.fail_unsupported_here("recursive loops are not supported");
    end_block();
    ++loops_;
    block.each = parse_body({"else", "endfor"});
    --loops_;
    if (tokens_.take().text == "else") block.otherwise = parse_body_to("endfor");
    return block;
  }

  /// a, or a, b, or (a, b), or space.a where it may be an attribute.
  assignment_target parse_target(bool may_be_attribute) {
    assignment_target target{{}, false};
    const bool in_parentheses = tokens_.skip_symbol("(");
    while (true) {
      target_name name{tokens_.expect_name(), ""};
      if (may_be_attribute && tokens_.skip_symbol(".")) name.attribute = tokens_.expect_name();
      if (name.name == "true" || name.name == "false" || name.name == "none" || name.name == "True" ||
          name.name == "False" || name.name == "None") {
        tokens_.fail_here("'" + name.name + "' cannot be assigned to");
      }
      target.names.push_back(std::move(name));
      if (!tokens_.skip_symbol(",")) break;
      target.unpacks = true;
      if (!tokens_.at(token_kind::name) || tokens_.at_name("in")) break;
    }
    if (in_parentheses) tokens_.expect_symbol(")");
    return target;
  }

  void parse_set(int line, body& statements) {
    assignment_target target = parse_target(true);
    if (tokens_.skip_symbol("=")) {
      statements.push_back({line, set_value{std::move(target), expressions_.parse_tuple()}});
      return;
    }
    std::vector<filter_use> filters = expressions_.parse_filters();
    statements.push_back({line, set_captured{std::move(target), std::move(filters), parse_body_to("endset")}});
  }

  macro_definition parse_macro() {
    macro_definition macro;
    macro.name = tokens_.expect_name();
    tokens_.expect_symbol("(");
    while (!tokens_.at_symbol(")")) {
      std::string name = tokens_.expect_name();
      expression_ptr otherwise;
      if (tokens_.skip_symbol("=")) {
        otherwise = expressions_.parse();
      } else if (!macro.parameters.empty() && macro.parameters.back().second != nullptr) {
        tokens_.fail_here("the parameter '" + name + "' without a default follows one with a default");
      }
      macro.parameters.emplace_back(std::move(name), std::move(otherwise));
      if (!tokens_.skip_symbol(",")) break;
    }
    tokens_.expect_symbol(")");
    const int outer_loops = std::exchange(loops_, 0);
    macro.content = parse_body_to("endmacro");
    loops_ = outer_loops;
    return macro;
  }

  token_cursor tokens_;
  int nesting_ = 0;
  int loops_ = 0;  // around the current statement
  expression_parser expressions_;
};

}  // namespace

body parse_template(std::string_view source) {
  return template_parser(tokenize(source)).parse();
}

}  // namespace troupe::jinja
