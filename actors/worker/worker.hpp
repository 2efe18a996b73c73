// The worker actor: holds the requests assigned to it, hands them to its engine and passes tokens on to their gateways.
// It gives requests away to other workers (departures.hpp) and takes theirs (arrivals.hpp).
#pragma once

#include "actors/messages.hpp"
#include "actors/worker/bulk_port.hpp"
#include "actors/worker/engine_driver.hpp"
#include "actors/worker/layer_sender.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace troupe {

struct worker_config {
  worker_id id;
  caf::actor scheduler;
  engine_driver_factory make_driver;
  std::uint8_t roles = worker_role::both;
  std::shared_ptr<bulk_port> bulk{};                          // nullptr: requests stay where they are
  std::uint32_t relocation_stages = 3;                        // copies before the request is paused, at most
  std::size_t relocation_part_bytes = std::size_t{64} << 10;  // K and V arrive in parts of at least so many
  std::chrono::milliseconds relocation_step_limit{2000};
  std::chrono::milliseconds arrival_limit{10'000};
  policies::batching_settings batching{};  // of local orders that are set later
};

/// A request on its way to another worker.
struct departure {
  request_id request;
  caf::actor target;
  departure_state state = departure_state::offering;
  bool hand_off = false;                   // waits for the end of the prefill
  std::shared_ptr<layer_sender> layers{};  // of a hand-off: sends while the prefill computes
  kv_parts parts;
  std::uint64_t step = 0;  // counts the steps, so that a late time-out is known
  std::uint64_t ticket = 0;
  std::uint32_t first_block = 0;  // of the ticket
  std::uint32_t next_block = 0;   // the first that was not sent
  std::uint32_t n_stages = 0;
  bool sending = false;  // a stage is on the wire
  troupe::epoch committed;
  std::chrono::microseconds pause{};  // until the commit left
};

/// A request on its way here.
struct arrival {
  request_id request;
  caf::actor source;
  caf::actor gateway;
  arrival_state state = arrival_state::reserving;
  request_facts facts{};
  std::optional<sequence_id> sequence;
  std::uint64_t ticket = 0;
  bool filled = false;
  bool given_up = false;  // waits for the last write to end
  std::optional<commit_relocation> commit;
  caf::actor_clock::time_point commit_arrived{};
};

struct worker_state {
  static inline const char* name = "worker";

  ~worker_state() {
    // Nobody waits any more for what is on its way here.
    for (const auto& [id, arriving] : arrivals)
      if (arriving.ticket != 0 && !arriving.filled) bulk->close(arriving.ticket);
  }

  struct assignment {
    troupe::epoch epoch;
    caf::actor gateway;
    std::uint64_t run = 0;                   // in the engine
    caf::actor_clock::time_point arrived{};  // in the cluster
  };

  std::unique_ptr<engine_driver> driver;
  std::shared_ptr<bulk_port> bulk;
  std::unordered_map<request_id, assignment> assignments;
  std::map<relocation_id, departure> departures;
  std::map<relocation_id, arrival> arrivals;
  std::set<caf::actor_addr> watched;  // workers that are monitored: each once, however many requests come and go
  std::uint64_t n_runs = 0;           // ever
  std::uint64_t next_relocation = 0;  // from a random number on: a worker that is started again repeats none
  relocation_counts relocations;
  std::uint64_t rejected_events = 0;  // of relocations, with no meaning in their state
};

using worker_pointer = caf::stateful_actor<worker_state>*;

/// What the engine's thread or the transport has the worker do next.
struct worker_task {
  std::function<void(worker_pointer self)> run;
};

/// Posts tasks to a worker from other threads; keeps nothing alive.
class worker_mailbox {
 public:
  explicit worker_mailbox(worker_pointer self) : address_(caf::actor_cast<caf::actor_addr>(self)) {}
  void post(std::function<void(worker_pointer)> run) const {
    if (const auto worker = caf::actor_cast<caf::actor>(address_)) caf::anon_send(worker, worker_task{std::move(run)});
  }

 private:
  caf::actor_addr address_;
};

/// Runs `work(runner)` where the engine is and then `next(self, what it returned)` in the worker.
template <class Work, class Next>
void with_engine(worker_pointer self, Work work, Next next) {
  self->state.driver->run(
      [work = std::move(work), next = std::move(next), mailbox = worker_mailbox(self)](engine_runner& runner) {
        mailbox.post([next, outcome = work(runner)](worker_pointer again) { next(again, outcome); });
      });
}

/// Tells of the end of another worker, from now on.
inline void watch_worker(worker_pointer self, const caf::actor& other) {
  if (self->state.watched.insert(other.address()).second) self->monitor(other);
}

/// Exits with an error when its engine cannot be made or dies.
caf::behavior worker_actor(caf::stateful_actor<worker_state>* self, worker_config config);

}  // namespace troupe

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::worker_task)
