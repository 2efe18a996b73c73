// Turns an engine_runner and reports to a worker. threaded_engine_driver gives the engine a thread of its own, so that
// the worker's actor never waits for a step; turned_engine_driver is turned by hand, for deterministic tests and for
// the simulator.
#pragma once

#include "actors/worker/engine_runner.hpp"
#include "base/bounded_queue.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <variant>

namespace troupe {

using engine_task = std::function<void(engine_runner& runner)>;

/// How long an engine rests that stands still (engine_runner::stands_still), unless something is asked of it.
inline constexpr std::chrono::milliseconds rest_of_a_still_engine{1};

/// A turn whose exceptions (broken assertions, exhausted memory) become the report of a dead engine.
engine_report guarded_turn(engine_runner& runner, time_point now);

class engine_driver {
 public:
  using listener = std::function<void(engine_report)>;

  virtual ~engine_driver() = default;
  virtual void remove(request_id request) = 0;
  /// Runs a task where the engine is, between two steps. False when the queue to the engine is full: it will not run.
  virtual bool run(engine_task task) = 0;
  /// What the engine's K and V are; nullopt: requests cannot leave it or arrive.
  virtual std::optional<kv_identity> kv() const { return std::nullopt; }
  /// Keeps the engine's K and V where they are while the transport reads or writes them, also when the driver is gone.
  virtual std::shared_ptr<const void> memory() const { return nullptr; }
};

class threaded_engine_driver final : public engine_driver {
 public:
  /// Calls `report` on the engine's thread after each turn that has something to say.
  threaded_engine_driver(std::unique_ptr<engine_runner> runner, listener report);
  /// Waits for the step under way to end.
  ~threaded_engine_driver() override;

  void remove(request_id request) override;
  bool run(engine_task task) override;
  std::optional<kv_identity> kv() const override { return kv_; }
  std::shared_ptr<const void> memory() const override { return runner_; }

 private:
  using command = std::variant<request_id, engine_task>;
  void turn();

  std::shared_ptr<engine_runner> runner_;
  std::optional<kv_identity> kv_;
  listener report_;
  bounded_queue<command> commands_;
  std::thread thread_;
};

class turned_engine_driver final : public engine_driver {
 public:
  turned_engine_driver(std::unique_ptr<engine_runner> runner, listener report);

  void remove(request_id request) override;
  bool run(engine_task task) override;
  std::optional<kv_identity> kv() const override { return runner_->identify_kv(); }
  /// One turn. False when there was nothing to do.
  bool turn();

 private:
  std::unique_ptr<engine_runner> runner_;
  listener report_;
  bool dead_ = false;
};

/// Makes the driver of a worker, at its start and at each restart.
using engine_driver_factory =
    std::function<result<std::unique_ptr<engine_driver>>(worker_id worker, engine_driver::listener report)>;

}  // namespace troupe
