#include "runtime/grammar/state_classes.hpp"

#include "base/random.hpp"
#include "runtime/grammar/limits.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>

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

}  // namespace

std::vector<std::uint32_t> find_state_classes(const automaton& a, std::size_t n_bytes) {
  std::vector<std::uint32_t> classes(a.n_states());
  std::iota(classes.begin(), classes.end(), 0);
  const std::size_t work_of_round = a.table.size() + 2 * a.calls.size() + 8 * a.n_states();
  if (work_of_round > max_class_work / 4) return classes;
  // The depth that a state needs decides too, since a state that does not fit in the depth is not entered.
  for (state_id s = 0; s < a.n_states(); ++s)
    classes[s] = a.need[s] * 4 + a.final[s] * 2u + (a.is_tail(s) ? 1 : 0);
  std::size_t n_classes = 0;
  std::size_t work = 0;
  for (std::size_t round = 0; round < n_bytes; ++round) {
    work += work_of_round;
    if (work > max_class_work) {
      std::iota(classes.begin(), classes.end(), 0);
      return classes;
    }
    std::unordered_map<std::vector<std::uint32_t>, std::uint32_t, signature_hash> seen;
    std::vector<std::uint32_t> refined(a.n_states());
    for (state_id s = 0; s < a.n_states(); ++s)
      refined[s] = seen.try_emplace(signature(a, s, classes), static_cast<std::uint32_t>(seen.size())).first->second;
    classes = std::move(refined);
    if (seen.size() == n_classes) break;  // a round that split nothing
    n_classes = seen.size();
  }
  return classes;
}

}  // namespace troupe::grammar
