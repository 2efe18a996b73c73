#include "catch.hpp"
#include "live_mesh.hpp"

#include <csignal>
#include <cstdlib>

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace troupe::test {

child_process::child_process(const std::string& test_case, const std::string& variable, const std::string& value) {
  std::string setting = variable + "=" + value;
  std::vector<char*> environment;
  for (char** at = environ; *at != nullptr; ++at)
    environment.push_back(*at);
  environment.push_back(setting.data());
  environment.push_back(nullptr);
  std::string program = "/proc/self/exe", name = test_case;
  char* arguments[] = {program.data(), name.data(), nullptr};
  // Its report would mix with this one's.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(failed == 0);
}

child_process::~child_process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void child_process::send_signal(int number) {
  REQUIRE(::kill(pid_, number) == 0);
}

}  // namespace troupe::test
