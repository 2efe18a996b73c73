#include "runtime/grammar/automaton.hpp"

#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/shortest_ways.hpp"
#include "runtime/grammar/subset_construction.hpp"

#include <algorithm>
#include <utility>

namespace troupe::grammar {
namespace {

// Keeps what leads from the root's entry to an end, and renumbers it.
class pruner {
 public:
  pruner(const automaton& whole, const shortest_ways& ways)
      : whole_(whole), ways_(ways), new_states_(whole.n_states(), no_state), new_rules_(whole.rules.size(), no_state) {}

  automaton run() {
    made_.byte_class = whole_.byte_class;
    made_.n_classes = whole_.n_classes;
    made_.root_is_nullable = whole_.root_is_nullable;
    keep_rule(0);
    made_.call_starts.push_back(0);
    for (std::size_t i = 0; i < kept_.size(); ++i)
      copy(kept_[i]);
    return std::move(made_);
  }

 private:
  bool is_alive(state_id s) const { return s != no_state && ways_.of_states[s] != unreachable; }

  state_id keep(state_id old) {
    if (new_states_[old] == no_state) {
      new_states_[old] = static_cast<state_id>(kept_.size());
      kept_.push_back(old);
    }
    return new_states_[old];
  }

  std::uint32_t keep_rule(std::uint32_t old) {
    if (new_rules_[old] == no_state) {
      new_rules_[old] = static_cast<std::uint32_t>(made_.rules.size());
      made_.rules.push_back(whole_.rules[old]);
      made_.rules.back().entry = keep(whole_.rules[old].entry);
    }
    return new_rules_[old];
  }

  void copy(state_id old) {
    bool reads = false;
    for (std::uint32_t c = 0; c < whole_.n_classes; ++c) {
      const state_id target = whole_.table[old * static_cast<std::size_t>(whole_.n_classes) + c];
      reads = reads || is_alive(target);
      made_.table.push_back(is_alive(target) ? keep(target) : no_state);
    }
    for (const auto& call : whole_.calls_of(old))
      if (is_alive(call.after) && ways_.of_rules[call.rule] != unreachable)
        made_.calls.push_back({keep_rule(call.rule), keep(call.after)});
    made_.call_starts.push_back(static_cast<std::uint32_t>(made_.calls.size()));
    made_.final.push_back(whole_.final[old]);
    made_.reads.push_back(reads ? 1 : 0);
  }

  const automaton& whole_;
  const shortest_ways& ways_;
  std::vector<state_id> new_states_;
  std::vector<std::uint32_t> new_rules_;
  std::vector<state_id> kept_;  // old numbers in the order of the new
  automaton made_;
};

// Kahn's algorithm over first calls.
void find_order(automaton& a) {
  std::vector<std::uint32_t> n_callers(a.rules.size()), ready;
  for (const auto& r : a.rules)
    for (const auto& call : a.calls_of(r.entry))
      ++n_callers[call.rule];
  for (std::uint32_t i = 0; i < a.rules.size(); ++i)
    if (n_callers[i] == 0) ready.push_back(i);
  for (std::uint32_t at = 0; at < ready.size(); ++at) {
    a.rules[ready[at]].order = at;
    for (const auto& call : a.calls_of(a.rules[ready[at]].entry))
      if (--n_callers[call.rule] == 0) ready.push_back(call.rule);
  }
  if (ready.size() < a.rules.size())
    fail("the grammar has a rule that calls itself before it reads anything (left recursion)");
}

void find_costs(automaton& a) {
  auto depths = find_shortest_ways(a, way_cost::depth);
  auto distances = find_shortest_ways(a, way_cost::bytes);
  for (std::size_t i = 0; i < a.rules.size(); ++i) {
    a.rules[i].need = depths.of_rules[i];
    a.rules[i].distance = distances.of_rules[i];
  }
  a.need = std::move(depths.of_states);
  a.distance = std::move(distances.of_states);
}

}  // namespace

automaton build_automaton(const rule_set& rules) {
  nfa_builder builder(rules);
  std::vector<std::uint32_t> index(rules.n_rules());
  std::vector<nfa::fragment> fragments{builder.build_rule(rules.root)};
  for (std::size_t at = 0; at < builder.called().size(); ++at) {
    const rule_id id = builder.called()[at];
    if (id == rules.root) continue;
    index[id] = static_cast<std::uint32_t>(fragments.size());
    fragments.push_back(builder.build_rule(id));
  }
  subset_construction subsets(builder.built(), index);
  std::vector<automaton::rule_entry> entries;
  for (const auto& fragment : fragments)
    entries.push_back({subsets.add_rule(fragment), 0, 0, 0});
  automaton whole = subsets.take();
  whole.rules = std::move(entries);
  whole.root_is_nullable = builder.root_is_nullable();

  const auto ways = find_shortest_ways(whole, way_cost::bytes);
  if (ways.of_rules[0] == unreachable && !whole.root_is_nullable)
    fail("no text matches the grammar: every way through it goes on without end");
  automaton pruned = pruner(whole, ways).run();
  find_order(pruned);
  find_costs(pruned);
  return pruned;
}

}  // namespace troupe::grammar
