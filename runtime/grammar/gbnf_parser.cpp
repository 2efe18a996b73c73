#include "runtime/grammar/gbnf_parser.hpp"

#include "base/utf8.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/gbnf_cursor.hpp"
#include "runtime/grammar/limits.hpp"
#include "runtime/grammar/rule_analysis.hpp"

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::grammar {
namespace {

class parser {
 public:
  explicit parser(std::string_view source) : cursor_(source) {}

  rule_set run() {
    for (cursor_.skip_space(true); !cursor_.at_end(); cursor_.skip_space(true))
      parse_rule();
    check_rules();
    return std::move(rules_);
  }

 private:
  rule_id rule_named(std::string_view name, std::size_t position) {
    const auto found = names_.find(std::string(name));
    if (found != names_.end()) return found->second;
    const rule_id id = rules_.declare(std::string(name));
    const text_place place = cursor_.place_of(position);
    rules_.rule_at(id).line = place.line;
    rules_.rule_at(id).column = place.column;
    names_.emplace(name, id);
    return id;
  }

  void parse_rule() {
    const std::size_t start = cursor_.position();
    const std::string_view name = cursor_.take_name();
    if (name.empty()) cursor_.fail_here("a rule begins with its name");
    cursor_.skip_space(false);
    if (!cursor_.skip("::=")) cursor_.fail_here("after the rule's name \"::=\" is expected");
    const rule_id id = rule_named(name, start);
    if (rules_.rule_at(id).body != nothing)
      cursor_.fail_at(start, "the rule \"" + std::string(name) + "\" is defined twice");
    cursor_.skip_space(true);
    rules_.define(id, parse_choice(0));
    if (!cursor_.at_end() && !cursor_.at("\n"))
      cursor_.fail_here(cursor_.at(")") ? "this \")\" closes nothing" : "the end of the rule or \"|\" is expected");
  }

  // Whether the next line goes on with "|"; if so, that is where the cursor stands then.
  bool at_bar(int nesting) {
    if (cursor_.at("|")) return true;
    if (nesting > 0 || !cursor_.at("\n")) return false;
    const std::size_t line_end = cursor_.position();
    cursor_.skip_space(true);
    if (cursor_.at("|")) return true;
    cursor_.move_to(line_end);
    return false;
  }

  expression_id parse_choice(int nesting) {
    std::vector<expression_id> alternatives{parse_sequence(nesting)};
    while (at_bar(nesting)) {
      cursor_.skip("|");
      cursor_.skip_space(true);
      alternatives.push_back(parse_sequence(nesting));
    }
    return rules_.choice(std::move(alternatives));
  }

  expression_id parse_sequence(int nesting) {
    std::vector<expression_id> parts;
    while (!cursor_.at_end() && !cursor_.at("|") && !cursor_.at(")") && !cursor_.at("\n")) {
      expression_id part = parse_primary(nesting);
      for (int n_postfixes = 0; parse_postfix(part); ++n_postfixes)
        if (n_postfixes >= 4) cursor_.fail_here("more than four repetitions of repetitions");
      parts.push_back(part);
      cursor_.skip_space(nesting > 0);
    }
    if (parts.empty()) return rules_.literal("");
    return rules_.sequence(std::move(parts));
  }

  expression_id parse_primary(int nesting) {
    const std::size_t start = cursor_.position();
    if (cursor_.skip("\"")) return parse_literal();
    if (cursor_.skip("[")) return parse_class(start);
    if (cursor_.skip("(")) return parse_group(nesting, start);
    if (cursor_.skip(".")) return rules_.character(complement({}));
    for (const std::string_view sign : {"*", "+", "?", "{"})
      if (cursor_.at(sign)) cursor_.fail_here("there is nothing before this \"" + std::string(sign) + "\" to repeat");
    if (cursor_.at("<")) cursor_.fail_here("tokens in angle brackets are not supported");
    const std::string_view name = cursor_.take_name();
    if (name.empty()) cursor_.fail_here("a literal, a class, a group or the name of a rule is expected");
    return rules_.call(rule_named(name, start));
  }

  expression_id parse_literal() {
    std::string bytes;
    while (!cursor_.skip("\""))
      append_utf8(bytes, static_cast<char32_t>(cursor_.take_character("literal")));
    return rules_.literal(bytes);
  }

  expression_id parse_class(std::size_t start) {
    const bool negated = cursor_.skip("^");
    std::vector<code_range> ranges;
    while (!cursor_.skip("]")) {
      const std::size_t range_start = cursor_.position();
      const std::uint32_t first = cursor_.take_character("class");
      std::uint32_t last = first;
      if (cursor_.at("-") && !cursor_.at("-]")) {
        cursor_.skip("-");
        last = cursor_.take_character("class");
      }
      if (last < first) cursor_.fail_at(range_start, "this range ends before it begins");
      ranges.push_back({first, last});
    }
    if (ranges.empty()) cursor_.fail_at(start, "the class is empty");
    code_set set = normalized(std::move(ranges));
    if (negated) set = complement(set);
    if (set.empty()) cursor_.fail_at(start, "the class holds no character");
    return rules_.character(std::move(set));
  }

  expression_id parse_group(int nesting, std::size_t start) {
    if (nesting >= max_source_nesting)
      cursor_.fail_at(start, "groups are nested deeper than " + std::to_string(max_source_nesting) + " levels");
    cursor_.skip_space(true);
    const expression_id inner = parse_choice(nesting + 1);
    if (!cursor_.skip(")")) cursor_.fail_at(start, "this \"(\" is not closed");
    return inner;
  }

  bool parse_postfix(expression_id& operand) {
    if (cursor_.skip("*")) {
      operand = rules_.repeat(operand, 0, unbounded);
    } else if (cursor_.skip("+")) {
      operand = rules_.repeat(operand, 1, unbounded);
    } else if (cursor_.skip("?")) {
      operand = rules_.repeat(operand, 0, 1);
    } else if (cursor_.at("{")) {
      operand = parse_bounds(operand);
    } else {
      return false;
    }
    return true;
  }

  std::uint32_t parse_bound() {
    const std::size_t start = cursor_.position();
    const std::uint32_t bound = cursor_.take_number();
    if (bound > max_repetition)
      cursor_.fail_at(start, "a repetition is bounded by " + std::to_string(max_repetition) + " at most");
    cursor_.skip_space(false);
    return bound;
  }

  expression_id parse_bounds(expression_id operand) {
    const std::size_t start = cursor_.position();
    cursor_.skip("{");
    cursor_.skip_space(false);
    const std::uint32_t min = cursor_.at(",") ? 0 : parse_bound();
    std::uint32_t max = min;
    if (cursor_.skip(",")) {
      cursor_.skip_space(false);
      max = cursor_.at("}") ? unbounded : parse_bound();
    }
    if (!cursor_.skip("}")) cursor_.fail_at(start, "this \"{\" is not closed");
    if (max < min) cursor_.fail_at(start, "the repetition's upper bound is below its lower bound");
    return rules_.repeat(operand, min, max);
  }

  static std::string place_of(const rule& r) {
    return "line " + std::to_string(r.line) + ", column " + std::to_string(r.column) + ": ";
  }

  void check_rules() {
    for (rule_id id = 0; id < rules_.n_rules(); ++id) {
      const rule& r = rules_.rule_at(id);
      if (r.body == nothing) fail(place_of(r) + "the rule \"" + r.name + "\" is not defined");
    }
    const auto root = names_.find("root");
    if (root == names_.end()) cursor_.fail_here("there is no rule \"root\", with which a grammar begins");
    rules_.root = root->second;
    if (const rule_id id = find_left_recursion(rules_); id != nothing) {
      const rule& r = rules_.rule_at(id);
      fail(place_of(r) + "the rule \"" + r.name + "\" calls itself before it reads anything (left recursion)");
    }
  }

  gbnf_cursor cursor_;
  rule_set rules_;
  std::unordered_map<std::string, rule_id> names_;
};

}  // namespace

rule_set parse_gbnf(std::string_view source) {
  if (source.size() > max_source_bytes)
    fail_too_large("the grammar is longer than " + std::to_string(max_source_bytes) + " bytes");
  if (const std::size_t bad = find_invalid_utf8(source); bad != std::string_view::npos)
    gbnf_cursor(source).fail_at(bad, "the grammar is not UTF-8 here");
  return parser(source).run();
}

}  // namespace troupe::grammar
