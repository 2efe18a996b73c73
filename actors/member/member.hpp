// The member actor: this node's side of the membership protocol. It finds the head, joins, starts the node's worker
// when it is told who schedules, stops it when the head is lost, and begins anew.
#pragma once

#include "actors/messages.hpp"
#include "actors/protocols/membership.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace troupe {

struct member_config {
  join_cluster introduction;
  // Looks for the registry and sends the member actor a registry_found or a registry_missing.
  std::function<void(caf::actor member)> find_registry;
  // Starts the workers of this node for a scheduler; what it returns is told to exit when the head is lost.
  std::function<caf::actor(caf::local_actor* parent, worker_id id, const caf::actor& scheduler)> start_workers;
  std::function<void(const members_changed& members)> on_members;
  std::function<void(std::string why)> on_gone;  // for good: the process has nothing left to do
  std::chrono::milliseconds first_backoff{50};
  std::chrono::milliseconds longest_backoff{2000};
  std::chrono::milliseconds answer_within{2000};
};

struct member_actor_state {
  static inline const char* name = "member";

  member_state phase = member_state::searching;
  caf::actor registry;
  caf::actor workers;
  std::uint32_t attempts = 0;         // since the last success
  std::uint64_t joining = 0;          // counts attempts to join, so that a late time-out is known
  std::uint64_t rejected_events = 0;  // with no meaning in the phase
};

caf::behavior member_actor(caf::stateful_actor<member_actor_state>* self, member_config config);

}  // namespace troupe
