#include "runtime/grammar/shortest_ways.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace troupe::grammar {
namespace {

constexpr std::uint32_t most = 1u << 30;

// Nodes are the states and, after them, one for each rule: its entry before anything is read. What leads to a state
// leads from its predecessors; an entry's ways are also those of its rule.
class search {
 public:
  search(const automaton& a, way_cost cost) : a_(a), cost_(cost), n_states_(static_cast<std::uint32_t>(a.n_states())) {
    costs_.assign(n_states_ + a.rules.size(), unreachable);
    readers_.resize(n_states_);
    returning_.resize(n_states_);
    callers_.resize(a.rules.size());
    std::vector<std::vector<std::uint32_t>> rules_entered(n_states_);
    for (std::uint32_t r = 0; r < a.rules.size(); ++r)
      rules_entered[a.rules[r].entry].push_back(n_states_ + r);
    for (state_id s = 0; s < n_states_; ++s) {
      add_moves(s, s);
      for (const std::uint32_t node : rules_entered[s])
        add_moves(s, node);
    }
  }

  shortest_ways run() {
    for (state_id s = 0; s < n_states_; ++s)
      if (a_.final[s]) offer(s, 0);
    while (!queue_.empty()) {
      const auto [cost, node] = queue_.top();
      queue_.pop();
      if (cost == costs_[node]) settle(node, cost);
    }
    const auto middle = costs_.begin() + n_states_;
    return {{costs_.begin(), middle}, {middle, costs_.end()}};
  }

 private:
  struct call_move {
    std::uint32_t from;  // node
    automaton::call call;
  };

  void add_moves(state_id s, std::uint32_t node) {
    state_id last = no_state;
    for (std::uint32_t c = 0; c < a_.n_classes; ++c) {
      const state_id target = a_.table[s * static_cast<std::size_t>(a_.n_classes) + c];
      if (target != no_state && target != last) readers_[target].push_back(node);
      last = target;
    }
    for (const auto& call : a_.calls_of(s)) {
      returning_[call.after].push_back({node, call});
      callers_[call.rule].push_back({node, call});
    }
  }

  void offer(std::uint32_t node, std::uint32_t cost) {
    cost = std::min(cost, most);
    if (cost >= costs_[node]) return;
    costs_[node] = cost;
    queue_.emplace(cost, node);
  }

  void offer_call(const call_move& move) {
    const std::uint32_t callee = costs_[n_states_ + move.call.rule], after = costs_[move.call.after];
    if (callee == unreachable || after == unreachable) return;
    offer(move.from, cost_ == way_cost::bytes ? callee + after : std::max(callee + 1, after));
  }

  void settle(std::uint32_t node, std::uint32_t cost) {
    if (node >= n_states_) {
      for (const auto& move : callers_[node - n_states_])
        offer_call(move);
      return;
    }
    for (const std::uint32_t reader : readers_[node])
      offer(reader, cost_ == way_cost::bytes ? cost + 1 : cost);
    for (const auto& move : returning_[node])
      offer_call(move);
  }

  const automaton& a_;
  way_cost cost_;
  std::uint32_t n_states_;
  std::vector<std::uint32_t> costs_;
  std::vector<std::vector<std::uint32_t>> readers_;  // (n_states) nodes that a byte leads here from
  std::vector<std::vector<call_move>> returning_;    // (n_states) calls that go on here
  std::vector<std::vector<call_move>> callers_;      // (rules)
  std::priority_queue<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::pair<std::uint32_t, std::uint32_t>>,
                      std::greater<>>
      queue_;
};

}  // namespace

shortest_ways find_shortest_ways(const automaton& a, way_cost cost) {
  return search(a, cost).run();
}

}  // namespace troupe::grammar
