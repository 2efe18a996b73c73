#include "cli/child_process.hpp"

#include <cstring>

#include <signal.h>
#include <spawn.h>

extern char** environ;

namespace troupe::cli {

result<> child_process::start() {
  restart_at_ = {};
  std::vector<char*> arguments;
  for (auto& argument : command_)
    arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  // The parent takes its signals in its own way; children begin with the usual ones. A group of its own, so that an
  // interrupt at the terminal reaches the parent alone, which ends them in order.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  const int failure = ::posix_spawnp(&pid_, arguments[0], nullptr, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (failure == 0) return {};
  pid_ = 0;
  return make_error(errc::not_found,
                    "Cannot start " + name_ + " (" + command_[0] + "): " + std::strerror(failure) + ".");
}

void child_process::stop() {
  if (running()) ::kill(pid_, SIGTERM);
}

void child_process::kill() {
  if (running()) ::kill(pid_, SIGKILL);
}

bool child_process::plan_restart(std::chrono::steady_clock::time_point now, std::size_t limit,
                                 std::chrono::seconds window) {
  while (!restarts_.empty() && now - restarts_.front() > window)
    restarts_.pop_front();
  if (restarts_.size() >= limit) return false;
  constexpr std::chrono::milliseconds first_backoff{50};
  restart_at_ = now + first_backoff * (1 << restarts_.size());
  restarts_.push_back(now);
  return true;
}

}  // namespace troupe::cli
