// Walks a parsed template with the variables of one rendering. Names are looked up in the scopes around them, then in
// the context, then among the functions; what a loop, a macro or a captured block sets stays inside it, as in jinja2.
#pragma once

#include "runtime/template/ast.hpp"
#include "runtime/template/functions.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::jinja {

struct scope {
  const scope* parent = nullptr;
  std::vector<std::pair<std::string_view, value>> names{};  // views of names in the template or the context
  mutable bool has_macros = false;  // macros refer to their scope, which then lives as long as the renderer

  const value* find(std::string_view name) const;
  void set(std::string_view name, value held);
};

class renderer {
 public:
  /// context is a dict; it and the template must outlive the renderer.
  renderer(const value& context, std::int64_t now_unix_seconds, budget& limits, std::size_t max_output_bytes);

  std::string render(const body& content);
  /// Of the statement or expression that was last begun.
  int line() const { return line_; }

 private:
  enum class flow : unsigned char { next, break_loop, continue_loop };

  flow run(const body& statements, scope& names);
  flow run(const statement& each, scope& names);
  flow run_if(const if_block& block, scope& names);
  flow run_for(const for_block& block, scope& names);
  void define(const macro_definition& macro, scope& names);
  value call_macro(const macro_definition& macro, const scope& names, arguments& args);
  value_list items_of_loop(const for_block& block, scope& names);
  void assign(const assignment_target& target, const value& assigned, scope& names);
  void assign_one(const target_name& target, const value& assigned, scope& names);
  std::string capture(const body& statements, scope& names);
  void write(std::string_view text);
  /// Runs work with a scope of its own inside another.
  template <class Work>
  auto in_scope(const scope& outer, Work work);

  value evaluate(const expression_ptr& e, const scope& names);
  value compute(const literal& node, const scope& names);
  value compute(const variable& node, const scope& names);
  value compute(const sequence_display& node, const scope& names);
  value compute(const dict_display& node, const scope& names);
  value compute(const attribute_access& node, const scope& names);
  value compute(const subscript_access& node, const scope& names);
  value compute(const slice_access& node, const scope& names);
  value compute(const call& node, const scope& names);
  value compute(const filter_call& node, const scope& names);
  value compute(const test_call& node, const scope& names);
  value compute(const signed_expression& node, const scope& names);
  value compute(const negation& node, const scope& names);
  value compute(const binary_operation& node, const scope& names);
  value compute(const logical_operation& node, const scope& names);
  value compute(const comparison& node, const scope& names);
  value compute(const concatenation& node, const scope& names);
  value compute(const conditional& node, const scope& names);
  value apply_filter(const filter_use& filter, const value& input, const scope& names);
  arguments evaluate(const call_arguments& args, const scope& names);
  std::optional<std::int64_t> slice_bound(const expression_ptr& e, const scope& names);
  bool holds(relation wanted, const value& left, const value& right);

  const value& context_;
  std::int64_t now_unix_seconds_;
  budget& limits_;
  std::size_t max_output_bytes_;
  namespace_owner spaces_;
  std::vector<std::unique_ptr<scope>> kept_scopes_;
  std::string output_;
  bool capturing_ = false;
  int line_ = 1;
};

}  // namespace troupe::jinja
