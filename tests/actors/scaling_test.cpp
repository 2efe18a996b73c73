// The scheduler has workers started and stopped, in virtual time: who is counted, who is waited for, who may be
// stopped.
#include "actors/scheduler/scheduler.hpp"
#include "catch.hpp"
#include "stage.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// A scheduler without workers; what it asks for is written down.
class scaled_scheduler {
 public:
  explicit scaled_scheduler(policies::scaling_settings settings)
      : system_(config_), coordinator_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())) {
    (void)configure_log({log_format::text, log_level::off, {}});
    scheduler_config scheduling;
    scheduling.dispatch = std::move(*policies::make_dispatch_policy("least_loaded"));
    scheduling.scaling = settings;
    scheduling.scale_every = 1s;
    scheduling.start_limit = 5s;
    scheduling.start_worker = [this] { ++starts; };
    scheduling.may_stop = [](worker_id worker) { return worker.value >= 10; };
    scheduling.stop_worker = [this](worker_id worker) { stopped.push_back(worker); };
    scheduler_ = system_.spawn(scheduler_actor, scheduling);
    act();
  }
  ~scaled_scheduler() {
    for (const auto& worker : workers_)
      caf::anon_send_exit(worker, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(scheduler_, caf::exit_reason::user_shutdown);
    act();
  }

  void join(std::uint32_t id) {
    workers_.push_back(system_.spawn([](caf::event_based_actor*) -> caf::behavior {
      return {[](const set_local_order&) {}, [](relocate_some, const caf::actor&) {}};
    }));
    caf::anon_send(scheduler_, worker_started{worker_id{id}, worker_role::both}, workers_.back());
    act();
  }
  /// Of 100 blocks, with so many running requests of ten blocks each.
  void report(std::uint32_t id, std::uint32_t running) {
    load_report load;
    load.worker = worker_id{id};
    load.max_sequences = 64;
    load.blocks_total = 100;
    load.sequences = load.sequences_running = running;
    load.blocks_used = 10 * running;
    caf::anon_send(scheduler_, load);
    act();
  }
  void pass(std::chrono::milliseconds time) {
    coordinator_.advance_time(time);
    act();
  }

  int starts = 0;
  std::vector<worker_id> stopped;

 private:
  void act() {
    while (coordinator_.has_job())
      coordinator_.try_run_once();
  }

  deterministic_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& coordinator_;
  caf::actor scheduler_;
  std::vector<caf::actor> workers_;
};

constexpr policies::scaling_settings up_to_three{
    .min_workers = 1, .max_workers = 3, .scale_up_below = 10, .scale_down_above = 60};

}  // namespace

TEST_CASE("one worker at a time is asked for, and only what was asked for counts as come", "[scaling]") {
  scaled_scheduler cast(up_to_three);
  cast.join(1);
  cast.report(1, 10);
  CHECK(cast.starts == 0);
  cast.pass(1s);
  CHECK(cast.starts == 1);
  cast.pass(1s);
  CHECK(cast.starts == 1);  // it is on its way
  cast.join(2);             // somebody else's
  cast.report(2, 10);
  cast.pass(1s);
  CHECK(cast.starts == 1);
  cast.join(10);
  cast.pass(1s);
  CHECK(cast.starts == 1);  // it has not reported yet
  cast.report(10, 10);
  cast.pass(1s);
  CHECK(cast.starts == 1);  // three is the most
}

TEST_CASE("a worker that does not come is asked for again", "[scaling]") {
  scaled_scheduler cast(up_to_three);
  cast.join(1);
  cast.report(1, 10);
  cast.pass(1s);
  REQUIRE(cast.starts == 1);
  for (int second = 0; second < 4; ++second)
    cast.pass(1s);
  CHECK(cast.starts == 1);
  cast.pass(1s);
  CHECK(cast.starts == 2);
}

TEST_CASE("idle workers are drained and stopped, but only those that may be", "[scaling]") {
  scaled_scheduler cast(up_to_three);
  for (const std::uint32_t id : {1u, 10u, 11u}) {
    cast.join(id);
    cast.report(id, 0);
  }
  cast.pass(1s);
  CHECK(cast.stopped.empty());  // it drains first
  for (int second = 0; second < 5; ++second)
    cast.pass(1s);
  CHECK(cast.stopped == std::vector{worker_id{10}, worker_id{11}});
  CHECK(cast.starts == 0);
}

TEST_CASE("there are never fewer workers than the least", "[scaling]") {
  scaled_scheduler cast({.min_workers = 2, .max_workers = 3, .scale_up_below = 10, .scale_down_above = 60});
  cast.pass(1s);
  CHECK(cast.starts == 1);
  cast.pass(1s);
  CHECK(cast.starts == 2);  // both are missing
  cast.pass(1s);
  CHECK(cast.starts == 2);
}
