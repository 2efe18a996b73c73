// Turns an engine_runner on virtual time, as threaded_engine_driver does on a thread: what is asked of the engine waits
// until the step under way is over, and a step takes as long as the engine says. It is computed at its beginning, when
// all it depends on is known, and reported at its end.
#pragma once

#include "actors/worker/engine_driver.hpp"
#include "base/clock.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

namespace troupe::simulator {

class simulated_driver final : public engine_driver {
 public:
  /// `step_cost`: of the last step that the engine computed; `on_end` is called when the driver goes.
  simulated_driver(std::unique_ptr<engine_runner> runner, listener report, std::function<duration()> step_cost,
                   std::function<void()> on_end);
  ~simulated_driver() override;

  void remove(request_id request) override;
  bool run(engine_task task) override;
  std::optional<kv_identity> kv() const override { return runner_->identify_kv(); }
  std::shared_ptr<const void> memory() const override { return runner_; }

  /// When turn() has something to do: `now`, the end of the step under way, or time_point::max().
  time_point next_turn(time_point now) const;
  void turn(time_point now);

 private:
  using command = std::variant<request_id, engine_task>;
  std::shared_ptr<engine_runner> runner_;
  listener report_;
  std::function<duration()> step_cost_;
  std::function<void()> on_end_;
  std::deque<command> commands_;
  std::optional<engine_report> computed_;  // of the step under way
  bool dead_ = false;
  time_point done_at_{};
};

}  // namespace troupe::simulator
