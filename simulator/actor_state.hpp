// What is inside an actor, for those who hold the whole cluster in their hands.
#pragma once

#include <caf/all.hpp>

namespace troupe::simulator {

/// nullptr when the actor has ended.
template <class State>
const State* state_of(const caf::actor& actor) {
  if (!actor) return nullptr;
  auto* const any = caf::actor_cast<caf::abstract_actor*>(actor);
  auto* const stateful = dynamic_cast<caf::stateful_actor<State>*>(any);
  if (stateful == nullptr || stateful->getf(caf::abstract_actor::is_terminated_flag)) return nullptr;
  return &stateful->state;
}

}  // namespace troupe::simulator
