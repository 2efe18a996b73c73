// Runs actors on the thread that received their messages, within a time budget.
#pragma once

#include <chrono>
#include <deque>

#include <caf/all.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

namespace troupe::transport {

class inline_unit final : public caf::execution_unit {
 public:
  explicit inline_unit(caf::actor_system* system) : caf::execution_unit(system) {}

  void exec_later(caf::resumable* job) override { jobs_.push_back(job); }

  /// Runs what was woken, and what that wakes. What the budget does not reach goes to CAF's own threads: everything
  /// where it is negative. True when there was something.
  bool run(std::chrono::microseconds budget);
  /// Hands everything to CAF's own threads.
  void hand_over();

 private:
  static constexpr std::size_t messages_per_turn = 32;

  std::deque<caf::resumable*> jobs_;
};

}  // namespace troupe::transport
