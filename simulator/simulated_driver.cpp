#include "simulator/simulated_driver.hpp"

#include <utility>

namespace troupe::simulator {

simulated_driver::simulated_driver(std::unique_ptr<engine_runner> runner, listener report,
                                   std::function<duration()> step_cost, std::function<void()> on_end)
    : runner_(std::move(runner)),
      report_(std::move(report)),
      step_cost_(std::move(step_cost)),
      on_end_(std::move(on_end)) {
  report_(guarded_turn(*runner_, {}));  // idle, but now the scheduler knows how much room there is
}

simulated_driver::~simulated_driver() {
  if (on_end_) on_end_();
}

void simulated_driver::remove(request_id request) {
  commands_.emplace_back(request);
}

bool simulated_driver::run(engine_task task) {
  commands_.emplace_back(std::move(task));
  return true;
}

time_point simulated_driver::next_turn(time_point now) const {
  if (dead_) return time_point::max();
  if (computed_) return done_at_;
  return !commands_.empty() || runner_->has_work() ? now : time_point::max();
}

void simulated_driver::turn(time_point now) {
  if (next_turn(now) > now) return;
  if (computed_) {
    auto report = *std::exchange(computed_, std::nullopt);
    dead_ = report.engine_failure.has_value();
    report_(std::move(report));
    if (!dead_) runner_->run_due();
    return;
  }
  for (auto& next : std::exchange(commands_, {})) {
    if (const auto* ended = std::get_if<request_id>(&next))
      runner_->remove(*ended);
    else
      std::get<engine_task>(next)(*runner_);
  }
  computed_ = guarded_turn(*runner_, now);
  const duration took = step_cost_();
  runner_->note_step(took);
  done_at_ = now + (took.count() == 0 && runner_->has_work() ? duration(rest_of_a_still_engine) : took);
}

}  // namespace troupe::simulator
