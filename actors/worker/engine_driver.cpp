#include "actors/worker/engine_driver.hpp"

#include "base/thread_slice.hpp"

#include <exception>
#include <utility>

#include <pthread.h>

namespace troupe {
namespace {

// Adds and removals on their way to the engine. The scheduler keeps far below this; past it a worker refuses.
constexpr std::size_t command_capacity = 4096;

}  // namespace

engine_report guarded_turn(engine_runner& runner, time_point now) {
  try {
    return runner.turn(now);
  } catch (const std::exception& e) {
    engine_report report;
    report.engine_failure = make_error(errc::internal, e.what());
    return report;
  }
}

threaded_engine_driver::threaded_engine_driver(std::unique_ptr<engine_runner> runner, listener report)
    : runner_(std::move(runner)),
      kv_(runner_->identify_kv()),
      report_(std::move(report)),
      commands_(command_capacity),
      thread_([this] { turn(); }) {
  pthread_setname_np(thread_.native_handle(), "engine");
}

threaded_engine_driver::~threaded_engine_driver() {
  commands_.close();
  thread_.join();
}

void threaded_engine_driver::remove(request_id request) {
  // A full queue would mean thousands of requests between two steps; the sequence then runs to its own end.
  commands_.push(request);
}

bool threaded_engine_driver::run(engine_task task) {
  return commands_.push(std::move(task));
}

void threaded_engine_driver::turn() {
  take_ordinary_turns();
  const auto now = [] { return std::chrono::steady_clock::now(); };
  report_(guarded_turn(*runner_, now()));  // idle, but now the scheduler knows how much room there is
  while (true) {
    auto commands = runner_->stands_still() ? commands_.drain_until(now() + rest_of_a_still_engine)
                    : runner_->has_work()   ? commands_.drain()
                                            : commands_.wait_and_drain();
    if (commands_.closed()) return;
    for (auto& next : commands) {
      if (const auto* ended = std::get_if<request_id>(&next))
        runner_->remove(*ended);
      else
        std::get<engine_task>(next)(*runner_);
    }
    const auto begun = now();
    auto report = guarded_turn(*runner_, begun);
    runner_->note_step(now() - begun);
    const bool dead = report.engine_failure.has_value();
    report_(std::move(report));
    if (dead) return;
    runner_->run_due();
  }
}

turned_engine_driver::turned_engine_driver(std::unique_ptr<engine_runner> runner, listener report)
    : runner_(std::move(runner)), report_(std::move(report)) {
  report_(guarded_turn(*runner_, {}));
}

void turned_engine_driver::remove(request_id request) {
  runner_->remove(request);
}

bool turned_engine_driver::run(engine_task task) {
  if (dead_) return false;
  task(*runner_);
  return true;
}

bool turned_engine_driver::turn() {
  if (dead_ || !runner_->has_work()) return false;
  auto report = guarded_turn(*runner_, {});
  dead_ = report.engine_failure.has_value();
  report_(std::move(report));
  if (!dead_) runner_->run_due();
  return true;
}

}  // namespace troupe
