// Every policy that can be chosen by name: what it is for, and where it comes from. `troupe policy list` prints it; a
// test holds it against the names that the makers know. Constants only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troupe::policies {

enum class policy_kind : std::uint8_t {
  dispatch,      // which worker takes a request
  scheduler,     // whom a worker's step serves: its local order
  rescheduling,  // who gives running requests away
  placement      // how many workers of what kind there are
};

/// As set_policy and `troupe policy` have it.
std::string_view to_string(policy_kind kind);

struct policy_entry {
  policy_kind kind;
  std::string_view name;
  std::string_view use;    // one sentence: when
  std::string_view paper;  // authors, title, venue; "none"
};

/// By kind, the default of each first.
std::span<const policy_entry> policy_catalogue();

/// "fcfs, prefill_first, ..."
std::string policy_names(policy_kind kind);

/// How many requests a worker should hold beyond those it runs at once. Whoever looks ahead, at deadlines or at
/// predicted lengths, can only put in order what it sees; to the others a short queue is better, as what is not
/// assigned yet may still go elsewhere.
std::uint32_t suitable_backlog(std::string_view scheduler, std::string_view dispatch);

}  // namespace troupe::policies
