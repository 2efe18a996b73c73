#include "runtime/grammar/state_classes.hpp"

#include "base/random.hpp"
#include "runtime/grammar/limits.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>

namespace troupe::grammar {
namespace {

// What a state does within one byte, in terms of the classes so far.
std::vector<std::uint32_t> signature(const automaton& a, state_id s, const std::vector<std::uint32_t>& classes) {
  std::vector<std::uint32_t> made{classes[s]};
  for (std::uint32_t c = 0; c < a.n_classes; ++c) {
    const state_id target = a.table[s * static_cast<std::size_t>(a.n_classes) + c];
    made.push_back(target == no_state ? no_state : classes[target]);
  }
  for (const auto& call : a.calls_of(s)) {
    made.push_back(call.rule);
    made.push_back(classes[call.after]);
  }
  return made;
}

struct signature_hash {
  std::size_t operator()(const std::vector<std::uint32_t>& words) const {
    std::uint64_t hash = words.size();
    for (const std::uint32_t word : words)
      hash = (hash ^ word) * 0x9E3779B97F4A7C15u + (hash >> 29);
    return static_cast<std::size_t>(random_bits(hash, 0));
  }
};

// Who has to look again when a state's class changes.
class predecessors {
 public:
  explicit predecessors(const automaton& a) : starts_(a.n_states() + 1) {
    for_each_move(a, [&](state_id, state_id to) { ++starts_[to + 1]; });
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    states_.resize(starts_.back());
    std::vector<std::uint32_t> next(starts_.begin(), starts_.end() - 1);
    for_each_move(a, [&](state_id from, state_id to) { states_[next[to]++] = from; });
  }
  std::span<const state_id> of(state_id s) const {
    return std::span(states_).subspan(starts_[s], starts_[s + 1] - starts_[s]);
  }

 private:
  template <class Visit>
  static void for_each_move(const automaton& a, Visit&& visit) {
    for (state_id s = 0; s < a.n_states(); ++s) {
      state_id last = no_state;
      for (std::uint32_t c = 0; c < a.n_classes; ++c) {
        const state_id target = a.table[s * static_cast<std::size_t>(a.n_classes) + c];
        if (target != no_state && target != last) visit(s, target);
        last = target;
      }
      for (const auto& call : a.calls_of(s))
        visit(s, call.after);
    }
  }

  std::vector<std::uint32_t> starts_;
  std::vector<state_id> states_;
};

// Only states that lead to one whose class changed in the round before are looked at again: in a long counted
// repetition that is a few of thousands.
class refinement {
 public:
  explicit refinement(const automaton& a) : a_(a), before_(a), classes_(a.n_states()), is_open_(a.n_states()) {
    std::unordered_map<std::uint32_t, std::uint32_t> first;
    for (state_id s = 0; s < a.n_states(); ++s) {
      // The depth that a state needs decides too, since a state that does not fit in the depth is not entered.
      const std::uint32_t kind = a.need[s] * 4 + a.final[s] * 2u + (a.is_tail(s) ? 1 : 0);
      classes_[s] = first.try_emplace(kind, static_cast<std::uint32_t>(first.size())).first->second;
      members_.resize(first.size());
      members_[classes_[s]].push_back(s);
      open_.push_back(s);
    }
  }

  /// False when nothing changed.
  bool run_round() {
    std::unordered_map<std::uint32_t, std::vector<state_id>> open_of_class;
    for (const state_id s : open_) {
      is_open_[s] = 1;
      open_of_class[classes_[s]].push_back(s);
    }
    moves_.clear();
    for (const auto& [of_class, states] : open_of_class)
      split(of_class, states);
    for (const state_id s : open_)
      is_open_[s] = 0;
    for (const auto& [s, to] : moves_)
      classes_[s] = to;
    for (const auto& [of_class, states] : open_of_class)
      std::erase_if(members_[of_class], [&, c = of_class](state_id s) { return classes_[s] != c; });
    find_open();
    return !moves_.empty();
  }

  std::size_t work() const { return work_; }
  std::vector<std::uint32_t> take() { return std::move(classes_); }

 private:
  using states_by_signature = std::unordered_map<std::vector<std::uint32_t>, std::vector<state_id>, signature_hash>;

  // Members that did not look again are alike still and keep the class; where all did, the largest group keeps it.
  void split(std::uint32_t of_class, const std::vector<state_id>& states) {
    states_by_signature groups;
    for (const state_id s : states)
      groups[signature(a_, s, classes_)].push_back(s);
    work_ += states.size() * (a_.n_classes + 8) + members_[of_class].size();
    const auto kept = std::ranges::find_if(members_[of_class], [&](state_id s) { return !is_open_[s]; });
    const auto keeper = kept != members_[of_class].end()
                            ? groups.find(signature(a_, *kept, classes_))
                            : std::ranges::max_element(groups, {}, [](const auto& g) { return g.second.size(); });
    for (auto group = groups.begin(); group != groups.end(); ++group) {
      if (group == keeper) continue;
      for (const state_id s : group->second)
        moves_.emplace_back(s, static_cast<std::uint32_t>(members_.size()));
      members_.push_back(group->second);
    }
  }

  void find_open() {
    open_.clear();
    for (const auto& [s, to] : moves_)
      for (const state_id reader : before_.of(s))
        if (std::exchange(is_open_[reader], std::uint8_t{1}) == 0) open_.push_back(reader);
    for (const state_id s : open_)
      is_open_[s] = 0;
  }

  const automaton& a_;
  predecessors before_;
  std::vector<std::uint32_t> classes_;          // (states)
  std::vector<std::vector<state_id>> members_;  // (classes)
  std::vector<state_id> open_;                  // who looks in the next round
  std::vector<std::uint8_t> is_open_;           // (states) all zero between rounds
  std::vector<std::pair<state_id, std::uint32_t>> moves_;
  std::size_t work_ = 0;
};

}  // namespace

std::vector<std::uint32_t> find_state_classes(const automaton& a, std::size_t n_bytes) {
  refinement classes(a);
  for (std::size_t round = 0; round < n_bytes && classes.run_round(); ++round) {
    if (classes.work() <= max_class_work) continue;
    std::vector<std::uint32_t> own(a.n_states());
    std::iota(own.begin(), own.end(), 0);
    return own;
  }
  return classes.take();
}

}  // namespace troupe::grammar
