#include "runtime/grammar/rule_analysis.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>

namespace troupe::grammar {
namespace {

// Expressions are trees of bounded depth inside a rule; calls end them, so recursion here is bounded too.
template <class Visit>
void for_each_call(const rule_set& rules, expression_id id, Visit&& visit) {
  const expression& e = rules.at(id);
  if (e.kind == expression_kind::call) return visit(e.rule);
  for (const expression_id child : e.children)
    for_each_call(rules, child, visit);
  if (e.separator != nothing) for_each_call(rules, e.separator, visit);
}

// The rules that may be called before anything is read.
template <class Visit>
void for_each_first_call(const rule_set& rules, expression_id id, const std::vector<bool>& nullable, Visit&& visit) {
  const expression& e = rules.at(id);
  switch (e.kind) {
    case expression_kind::literal:
    case expression_kind::character:
      return;
    case expression_kind::call:
      return visit(e.rule);
    case expression_kind::repeat:
      if (e.max == 0) return;
      return for_each_first_call(rules, e.children[0], nullable, visit);
    case expression_kind::choice:
      for (const expression_id child : e.children)
        for_each_first_call(rules, child, nullable, visit);
      return;
    case expression_kind::sequence:
      for (const expression_id child : e.children) {
        for_each_first_call(rules, child, nullable, visit);
        if (!is_nullable(rules, child, nullable)) return;
      }
      return;
    case expression_kind::joined:  // a separator may come first when children before it are empty
      for (const expression_id child : e.children)
        for_each_first_call(rules, child, nullable, visit);
      for_each_first_call(rules, e.separator, nullable, visit);
      return;
  }
}

// Strongly connected components by Tarjan's algorithm, without recursion, since a chain of rules may be long. Calls
// `found` with each component, callees before callers.
void for_each_component(const std::vector<std::vector<rule_id>>& calls,
                        const std::function<void(const std::vector<rule_id>&)>& found) {
  constexpr std::uint32_t unseen = ~std::uint32_t{0};
  std::vector<std::uint32_t> index(calls.size(), unseen), low(calls.size());
  std::vector<bool> on_stack(calls.size());
  std::vector<rule_id> stack, component;
  std::vector<std::pair<rule_id, std::size_t>> path;
  std::uint32_t next_index = 0;
  const auto enter = [&](rule_id id) {
    index[id] = low[id] = next_index++;
    stack.push_back(id);
    on_stack[id] = true;
    path.emplace_back(id, 0);
  };
  for (rule_id start = 0; start < calls.size(); ++start) {
    if (index[start] != unseen) continue;
    enter(start);
    while (!path.empty()) {
      const rule_id at = path.back().first;
      if (path.back().second < calls[at].size()) {
        const rule_id next = calls[at][path.back().second++];
        if (index[next] == unseen) {
          enter(next);
        } else if (on_stack[next]) {
          low[at] = std::min(low[at], index[next]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back().first] = std::min(low[path.back().first], low[at]);
      if (low[at] != index[at]) continue;
      component.clear();
      do {
        component.push_back(stack.back());
        on_stack[stack.back()] = false;
        stack.pop_back();
      } while (component.back() != at);
      found(component);
    }
  }
}

bool has_edge(const std::vector<std::vector<rule_id>>& calls, rule_id from, rule_id to) {
  return std::ranges::find(calls[from], to) != calls[from].end();
}

struct weight {
  std::size_t leaves = 0;  // bytes and classes, repetitions written out
  bool loops = false;
};

constexpr std::size_t heavy = 1 << 20;

// `weights` holds those of rules that are written out.
weight weigh(const rule_set& rules, expression_id id, const std::vector<bool>& inlined,
             const std::vector<weight>& weights) {
  const expression& e = rules.at(id);
  weight sum;
  switch (e.kind) {
    case expression_kind::literal:
      sum.leaves = e.bytes.size();
      break;
    case expression_kind::character:
      sum.leaves = 1 + e.set.size() / 4;
      break;
    case expression_kind::call:
      return inlined[e.rule] ? weights[e.rule] : weight{1, false};
    default:
      for (const expression_id child : e.children) {
        const weight w = weigh(rules, child, inlined, weights);
        sum.leaves += w.leaves;
        sum.loops = sum.loops || w.loops;
      }
  }
  if (e.kind == expression_kind::repeat) {
    if (e.max == unbounded) sum.loops = true;
    sum.leaves *= std::max<std::size_t>(1, e.max == unbounded ? e.min : e.max);
  }
  sum.leaves = std::min(sum.leaves, heavy);
  return sum;
}

// Follows the two tracks of nfa_builder::build_joined with nothing to read.
bool is_nullable_joined(const rule_set& rules, const expression& e, const std::vector<bool>& nullable) {
  const bool separator_is = is_nullable(rules, e.separator, nullable);
  bool bare = true, after = false, done = false;
  for (std::size_t i = 0; i < e.children.size(); ++i) {
    const bool read = (bare || (after && separator_is)) && is_nullable(rules, e.children[i], nullable);
    if (e.optional[i] && e.omits == omission::skip) {
      after = after || read;
      continue;
    }
    if (e.optional[i]) done = done || bare || after;
    bare = false;
    after = read;
  }
  return done || bare || after;
}

}  // namespace

bool is_nullable(const rule_set& rules, expression_id id, const std::vector<bool>& nullable) {
  const expression& e = rules.at(id);
  const auto child_is = [&](expression_id child) { return is_nullable(rules, child, nullable); };
  switch (e.kind) {
    case expression_kind::literal:
      return e.bytes.empty();
    case expression_kind::character:
      return false;
    case expression_kind::sequence:
      return std::ranges::all_of(e.children, child_is);
    case expression_kind::choice:
      return std::ranges::any_of(e.children, child_is);
    case expression_kind::repeat:
      return e.min == 0 || child_is(e.children[0]);
    case expression_kind::call:
      return nullable[e.rule];
    case expression_kind::joined:
      return is_nullable_joined(rules, e, nullable);
  }
  return false;
}

std::vector<bool> find_nullable(const rule_set& rules) {
  std::vector<std::vector<rule_id>> callers(rules.n_rules());
  for (rule_id id = 0; id < rules.n_rules(); ++id)
    for_each_call(rules, rules.rule_at(id).body, [&](rule_id callee) { callers[callee].push_back(id); });
  for (auto& list : callers) {
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  std::vector<bool> nullable(rules.n_rules());
  std::vector<rule_id> waiting(rules.n_rules());
  for (rule_id id = 0; id < rules.n_rules(); ++id)
    waiting[id] = id;
  while (!waiting.empty()) {
    const rule_id id = waiting.back();
    waiting.pop_back();
    if (nullable[id] || !is_nullable(rules, rules.rule_at(id).body, nullable)) continue;
    nullable[id] = true;
    waiting.insert(waiting.end(), callers[id].begin(), callers[id].end());
  }
  return nullable;
}

rule_id find_left_recursion(const rule_set& rules) {
  const auto nullable = find_nullable(rules);
  std::vector<std::vector<rule_id>> first(rules.n_rules());
  for (rule_id id = 0; id < rules.n_rules(); ++id)
    for_each_first_call(rules, rules.rule_at(id).body, nullable, [&](rule_id callee) { first[id].push_back(callee); });
  rule_id guilty = nothing;
  for_each_component(first, [&](const std::vector<rule_id>& component) {
    if (component.size() == 1 && !has_edge(first, component[0], component[0])) return;
    guilty = std::min(guilty, *std::ranges::min_element(component));
  });
  return guilty;
}

std::vector<bool> choose_inlined(const rule_set& rules) {
  std::vector<std::vector<rule_id>> calls(rules.n_rules());
  std::vector<std::uint32_t> n_uses(rules.n_rules());
  for (rule_id id = 0; id < rules.n_rules(); ++id) {
    for_each_call(rules, rules.rule_at(id).body, [&](rule_id callee) {
      calls[id].push_back(callee);
      ++n_uses[callee];
    });
  }
  std::vector<bool> inlined(rules.n_rules());
  std::vector<weight> weights(rules.n_rules());
  for_each_component(calls, [&](const std::vector<rule_id>& component) {
    const rule_id id = component[0];
    if (component.size() > 1 || has_edge(calls, id, id)) return;
    weights[id] = weigh(rules, rules.rule_at(id).body, inlined, weights);
    const auto [leaves, loops] = weights[id];
    if (!rules.rule_at(id).inlinable) return;
    inlined[id] = leaves <= 8 || (!loops && leaves <= 64) || (n_uses[id] == 1 && leaves <= 512);
  });
  return inlined;
}

}  // namespace troupe::grammar
