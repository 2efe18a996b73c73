// The worker actor: holds the requests assigned to it, hands them to its engine and passes tokens on to their gateways.
#pragma once

#include "actors/messages.hpp"
#include "actors/worker/engine_driver.hpp"

#include <unordered_map>

namespace troupe {

struct worker_config {
  worker_id id;
  caf::actor scheduler;
  engine_driver_factory make_driver;
  std::uint8_t roles = worker_role::both;
};

struct worker_state {
  static inline const char* name = "worker";

  struct assignment {
    troupe::epoch epoch;
    caf::actor gateway;
  };

  std::unique_ptr<engine_driver> driver;
  std::unordered_map<request_id, assignment> assignments;
};

/// Exits with an error when its engine cannot be made or dies.
caf::behavior worker_actor(caf::stateful_actor<worker_state>* self, worker_config config);

}  // namespace troupe
