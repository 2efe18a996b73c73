// The supervisor actor: starts the workers of this node and starts them again when they die, but not for ever: more
// than max_restarts of one worker within restart_window means that starting again does not help, and the worker stays
// down (Erlang/OTP's restart intensity). It monitors workers and is never linked to them.
#pragma once

#include "actors/messages.hpp"
#include "actors/worker/bulk_port.hpp"
#include "actors/worker/engine_driver.hpp"
#include "policies/batching.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <map>

namespace troupe {

struct supervisor_config {
  caf::actor scheduler;
  engine_driver_factory make_driver;
  std::uint32_t n_workers = 1;
  worker_id first_worker{};  // the others follow
  std::uint8_t roles = worker_role::both;
  std::shared_ptr<bulk_port> bulk{};  // nullptr: requests stay where they are
  std::uint32_t relocation_stages = 3;
  std::size_t relocation_part_bytes = std::size_t{64} << 10;
  policies::batching_settings batching{};
  std::uint32_t max_restarts = 5;
  std::chrono::milliseconds restart_window{60'000};
  std::chrono::milliseconds first_backoff{50};  // doubles with each restart within the window
  std::function<void()> on_restart;             // for a counter
};

struct supervisor_state {
  static inline const char* name = "supervisor";

  struct child {
    caf::actor handle;
    std::deque<caf::actor_clock::time_point> restarts;  // within the window
  };
  std::map<worker_id, child> children;
};

caf::behavior supervisor_actor(caf::stateful_actor<supervisor_state>* self, supervisor_config config);

}  // namespace troupe
