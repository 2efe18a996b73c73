#include "runtime/grammar/subset_construction.hpp"

#include "base/random.hpp"
#include "runtime/grammar/failure.hpp"
#include "runtime/grammar/limits.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::grammar {

std::size_t subset_construction::set_hash::operator()(const state_set& set) const {
  std::uint64_t hash = set.size();
  for (const std::uint32_t member : set)
    hash = random_bits(hash, member);
  return static_cast<std::size_t>(hash);
}

subset_construction::subset_construction(const nfa& source, const std::vector<std::uint32_t>& rule_index)
    : nfa_(source), rule_index_(rule_index), stamps_(source.first_arc.size()) {
  find_byte_classes();
  made_.call_starts.push_back(0);
  targets_.resize(made_.n_classes);
}

void subset_construction::find_byte_classes() {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const auto& arc : nfa_.arcs) {
    if (arc.kind != nfa::arc_kind::bytes) continue;
    begins[arc.first] = true;
    begins[static_cast<std::size_t>(arc.last) + 1] = true;
  }
  std::uint32_t n_classes = 0;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) ++n_classes;
    made_.byte_class[byte] = static_cast<std::uint8_t>(n_classes - 1);
  }
  made_.n_classes = n_classes;
}

void subset_construction::spend(std::size_t work) {
  work_ += work;
  if (work_ > max_subset_work) fail_too_large("the grammar is too ambiguous or too large to be made deterministic");
}

state_id subset_construction::add_rule(const nfa::fragment& fragment) {
  ids_.clear();
  pending_.clear();
  exit_ = fragment.exit;
  const state_id entry = intern(closure({fragment.entry}));
  for (std::size_t i = 0; i < pending_.size(); ++i)
    expand(*pending_[i]);  // interns further sets; the map's nodes stay where they are
  return entry;
}

// Only members that act are kept, so that sets that differ in nothing else are one.
subset_construction::state_set subset_construction::closure(const state_set& from) {
  stamp_ += 2;  // met; one more: met, and a member
  state_set open = from, members;
  for (const std::uint32_t state : open)
    stamps_[state] = stamp_;
  while (!open.empty()) {
    const std::uint32_t state = open.back();
    open.pop_back();
    bool acts = state == exit_;
    for (std::uint32_t at = nfa_.first_arc[state]; at != nothing; at = nfa_.arcs[at].next) {
      const auto& arc = nfa_.arcs[at];
      spend(1);
      if (arc.kind != nfa::arc_kind::empty) {
        acts = true;
      } else if (stamps_[arc.target] < stamp_) {
        stamps_[arc.target] = stamp_;
        open.push_back(arc.target);
      }
    }
    if (!acts) continue;
    members.push_back(state);
    stamps_[state] = stamp_ + 1;
  }
  spend(members.size());
  order(members);
  return members;
}

// Large sets lie close together, and to pick their members one after another takes a fraction of sorting them.
void subset_construction::order(state_set& members) const {
  if (members.empty()) return;
  const auto [low, high] = std::ranges::minmax(members);
  if (high - low >= 16 * members.size()) {
    std::ranges::sort(members);
    return;
  }
  members.clear();
  for (std::uint32_t state = low; state <= high; ++state)
    if (stamps_[state] == stamp_ + 1) members.push_back(state);
}

state_id subset_construction::intern(state_set set) {
  const auto next = static_cast<state_id>(made_.final.size());
  const auto [found, is_new] = ids_.try_emplace(std::move(set), next);
  if (!is_new) return found->second;
  if (next >= max_states || (next + std::size_t{1}) * made_.n_classes > max_table_entries)
    fail_too_large("the grammar is too large: it has more states than " +
                   std::to_string(std::min(max_states, max_table_entries / made_.n_classes)));
  made_.final.push_back(std::ranges::binary_search(found->first, exit_) ? 1 : 0);
  pending_.push_back(&found->first);
  return next;
}

// States are numbered in the order they are expanded in, so rows and calls are appended.
void subset_construction::expand(const state_set& set) {
  std::map<std::uint32_t, state_set> call_targets;
  for (auto& list : targets_)
    list.clear();
  for (const std::uint32_t member : set) {
    for (std::uint32_t at = nfa_.first_arc[member]; at != nothing; at = nfa_.arcs[at].next) {
      const auto& arc = nfa_.arcs[at];
      if (arc.kind == nfa::arc_kind::call) call_targets[rule_index_[arc.rule]].push_back(arc.target);
      if (arc.kind != nfa::arc_kind::bytes) continue;
      const std::uint32_t first = made_.byte_class[arc.first], last = made_.byte_class[arc.last];
      spend(last - first + 1);
      for (std::uint32_t c = first; c <= last; ++c)
        targets_[c].push_back(arc.target);
    }
  }
  state_id previous = no_state;
  for (std::size_t c = 0; c < targets_.size(); ++c) {
    if (targets_[c].empty()) {
      previous = no_state;
    } else if (c == 0 || targets_[c] != targets_[c - 1]) {
      previous = intern(closure(targets_[c]));
    }
    made_.table.push_back(previous);
  }
  for (auto& [rule, after] : call_targets)
    made_.calls.push_back({rule, intern(closure(after))});
  made_.call_starts.push_back(static_cast<std::uint32_t>(made_.calls.size()));
}

automaton subset_construction::take() {
  return std::move(made_);
}

}  // namespace troupe::grammar
