// The renderer's half that runs statements.
#include "runtime/template/renderer.hpp"
#include "runtime/template/value_text.hpp"

#include <algorithm>

namespace troupe::jinja {

namespace {

template <class... Cases>
struct cases : Cases... {
  using Cases::operator()...;
};

}  // namespace

const value* scope::find(std::string_view name) const {
  for (const scope* at = this; at != nullptr; at = at->parent) {
    for (const auto& [known, held] : at->names) {
      if (known == name) return &held;
    }
  }
  return nullptr;
}

void scope::set(std::string_view name, value held) {
  for (auto& [known, current] : names) {
    if (known != name) continue;
    current = std::move(held);
    return;
  }
  names.emplace_back(name, std::move(held));
}

renderer::renderer(const value& context, std::int64_t now_unix_seconds, budget& limits, std::size_t max_output_bytes)
    : context_(context), now_unix_seconds_(now_unix_seconds), limits_(limits), max_output_bytes_(max_output_bytes) {}

std::string renderer::render(const body& content) {
  kept_scopes_.push_back(std::make_unique<scope>());
  run(content, *kept_scopes_.back());
  return std::move(output_);
}

template <class Work>
auto renderer::in_scope(const scope& outer, Work work) {
  auto inner = std::make_unique<scope>(scope{&outer, {}, false});
  limits_.step();
  // Macros refer to their scopes, and so to all that encloses them; a scope with macros stays until the end.
  struct keeper {
    renderer& self;
    std::unique_ptr<scope>& kept;
    ~keeper() {
      if (kept->has_macros) self.kept_scopes_.push_back(std::move(kept));
    }
  } keep{*this, inner};
  return work(*inner);
}

void renderer::write(std::string_view text) {
  if (capturing_) {
    limits_.bytes(text.size());
  } else if (output_.size() + text.size() > max_output_bytes_) {
    fail("the prompt is longer than " + std::to_string(max_output_bytes_) + " bytes", errc::too_large);
  }
  output_ += text;
}

std::string renderer::capture(const body& statements, scope& names) {
  // Restores the outer output on every way out, so that the renderer is whole whatever fails inside.
  struct redirection {
    renderer& self;
    std::string outer;
    bool was_capturing;
    explicit redirection(renderer& r)
        : self(r), outer(std::exchange(r.output_, {})), was_capturing(std::exchange(r.capturing_, true)) {}
    ~redirection() {
      self.output_ = std::move(outer);
      self.capturing_ = was_capturing;
    }
  } redirect(*this);
  run(statements, names);
  return std::move(output_);
}

renderer::flow renderer::run(const body& statements, scope& names) {
  const budget::level level(limits_);
  for (const statement& each : statements) {
    if (const flow what = run(each, names); what != flow::next) return what;
  }
  return flow::next;
}

renderer::flow renderer::run(const statement& each, scope& names) {
  limits_.step();
  line_ = each.line;
  return std::visit(cases{[&](const text_output& node) {
                            write(node.text);
                            return flow::next;
                          },
                          [&](const expression_output& node) {
                            const value shown = evaluate(node.shown, names);
                            write(shown.is_string() ? shown.text() : to_str(shown, limits_));
                            return flow::next;
                          },
                          [&](const if_block& node) { return run_if(node, names); },
                          [&](const for_block& node) { return run_for(node, names); },
                          [&](const set_value& node) {
                            assign(node.target, evaluate(node.assigned, names), names);
                            return flow::next;
                          },
                          [&](const set_captured& node) {
                            value text = in_scope(names, [&](scope& inner) {
                              value captured = value::string(capture(node.captured, inner), limits_);
                              for (const filter_use& filter : node.filters)
                                captured = apply_filter(filter, captured, inner);
                              return captured;
                            });
                            assign(node.target, text, names);
                            return flow::next;
                          },
                          [&](const macro_definition& node) {
                            define(node, names);
                            return flow::next;
                          },
                          [&](const scoped_block& node) {
                            return in_scope(names, [&](scope& inner) { return run(node.content, inner); });
                          },
                          [](const break_loop&) { return flow::break_loop; },
                          [](const continue_loop&) { return flow::continue_loop; }},
                    each.node);
}

renderer::flow renderer::run_if(const if_block& block, scope& names) {
  for (const auto& [condition, branch] : block.branches) {
    if (evaluate(condition, names).truth()) return run(branch, names);
  }
  return run(block.otherwise, names);
}

value_list renderer::items_of_loop(const for_block& block, scope& names) {
  const value iterable = evaluate(block.iterable, names);
  if (iterable.is(kind::loop)) fail("a loop cannot be iterated");
  value_list items = iterate(iterable, limits_);
  if (block.filter == nullptr) return items;
  value_list kept;
  for (value& item : items) {
    const bool accepted = in_scope(names, [&](scope& inner) {
      assign(block.target, item, inner);
      return evaluate(block.filter, inner).truth();
    });
    if (accepted) kept.push_back(std::move(item));
  }
  return kept;
}

renderer::flow renderer::run_for(const for_block& block, scope& names) {
  auto state = std::make_shared<loop_state>();
  state->items = items_of_loop(block, names);
  if (state->items.empty()) {
    return in_scope(names, [&](scope& inner) { return run(block.otherwise, inner); });
  }
  const value loop = value::of(state);
  for (; state->index0 < state->items.size(); ++state->index0) {
    const flow what = in_scope(names, [&](scope& inner) {
      inner.set("loop", loop);
      assign(block.target, state->items[state->index0], inner);
      return run(block.each, inner);
    });
    if (what == flow::break_loop) break;
  }
  return flow::next;
}

void renderer::assign(const assignment_target& target, const value& assigned, scope& names) {
  if (!target.unpacks) return assign_one(target.names.front(), assigned, names);
  const value_list parts = iterate(assigned, limits_);
  if (parts.size() != target.names.size()) {
    fail(std::to_string(target.names.size()) + " names are assigned " + std::to_string(parts.size()) + " values");
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    assign_one(target.names[i], parts[i], names);
}

void renderer::assign_one(const target_name& target, const value& assigned, scope& names) {
  if (target.attribute.empty()) return names.set(target.name, assigned);
  const value* found = names.find(target.name);
  if (found == nullptr || !found->is(kind::name_space)) {
    fail("'" + target.name + "." + target.attribute + "' is assigned, but '" + target.name + "' is no namespace()");
  }
  auto& members = found->space()->members;
  limits_.step(1 + members.size() / 16);
  const auto member =
      std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.first == target.attribute; });
  if (member == members.end()) {
    limits_.bytes(sizeof(members.front()));
    members.emplace_back(target.attribute, assigned);
  } else {
    member->second = assigned;
  }
}

void renderer::define(const macro_definition& macro, scope& names) {
  limits_.bytes(sizeof(scope) + sizeof(callable));
  names.has_macros = true;
  // Everything around it has to stay as well: the parents of a scope are on the stack only as long as their statements
  // run.
  for (const scope* outer = names.parent; outer != nullptr; outer = outer->parent)
    outer->has_macros = true;
  names.set(
      macro.name,
      value::of(std::make_shared<const callable>(callable{
          macro.name, [this, &macro, &names](arguments& args, budget&) { return call_macro(macro, names, args); }})));
}

value renderer::call_macro(const macro_definition& macro, const scope& names, arguments& args) {
  if (args.positional.size() > macro.parameters.size()) {
    fail("the macro '" + macro.name + "' takes " + std::to_string(macro.parameters.size()) + " arguments, not " +
         std::to_string(args.positional.size()));
  }
  return in_scope(names, [&](scope& inner) {
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      const auto& [name, otherwise] = macro.parameters[i];
      const auto named =
          std::find_if(args.named.begin(), args.named.end(), [&](const auto& a) { return a.first == name; });
      if (i < args.positional.size()) {
        if (named != args.named.end()) fail("the macro '" + macro.name + "' is given '" + name + "' twice");
        inner.set(name, args.positional[i]);
      } else if (named != args.named.end()) {
        inner.set(name, std::move(named->second));
        args.named.erase(named);
      } else {
        inner.set(name, otherwise != nullptr ? evaluate(otherwise, inner)
                                             : value::undefined("the parameter '" + name + "' was not provided"));
      }
    }
    if (!args.named.empty()) fail("the macro '" + macro.name + "' has no parameter '" + args.named.front().first + "'");
    return value::string(capture(macro.content, inner), limits_);
  });
}

}  // namespace troupe::jinja
