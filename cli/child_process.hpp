// A program this process has started and looks after.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include <sys/types.h>

namespace troupe::cli {

class child_process {
 public:
  child_process(std::string name, std::vector<std::string> command)
      : name_(std::move(name)), command_(std::move(command)) {}

  const std::string& name() const { return name_; }
  const std::vector<std::string>& command() const { return command_; }
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }

  /// Errors: not_found (no such program).
  result<> start();
  /// Asks it to end.
  void stop();
  /// Ends it.
  void kill();
  /// To be told when waitpid() has returned its pid.
  void ended() { pid_ = 0; }

  /// Has it started once more, the later the more often: false when it was so `limit` times within `window`.
  bool plan_restart(std::chrono::steady_clock::time_point now, std::size_t limit, std::chrono::seconds window);
  bool restart_due(std::chrono::steady_clock::time_point now) const {
    return !running() && restart_at_ != std::chrono::steady_clock::time_point{} && now >= restart_at_;
  }

 private:
  std::string name_;
  std::vector<std::string> command_;
  pid_t pid_ = 0;
  std::deque<std::chrono::steady_clock::time_point> restarts_;
  std::chrono::steady_clock::time_point restart_at_{};
};

}  // namespace troupe::cli
