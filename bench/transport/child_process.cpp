#include "bench/transport/child_process.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace troupe::bench {
namespace {

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> made;
  for (auto& word : words)
    made.push_back(word.data());
  made.push_back(nullptr);
  return made;
}

int milliseconds_until(clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
  return static_cast<int>(std::clamp<long>(left, 0, 1'000'000));
}

}  // namespace

result<child_process> child_process::start(const std::vector<std::string>& words,
                                           const std::vector<std::pair<std::string, std::string>>& variables) {
  auto arguments = words;
  std::vector<std::string> environment;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string entry = *at;
    const bool replaced =
        std::ranges::any_of(variables, [&](const auto& variable) { return entry.starts_with(variable.first + "="); });
    if (!replaced) environment.push_back(entry);
  }
  for (const auto& [name, value] : variables)
    environment.push_back(name + "=" + value);
  const auto argument_pointers = pointers_to(arguments);
  const auto environment_pointers = pointers_to(environment);
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return make_error(errc::internal, "There is no pipe to be had.");
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process == 0) {
    // Between fork and exec: only what a signal handler might call.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent || ::dup2(pipe[1], STDOUT_FILENO) < 0) ::_exit(126);
    ::execvpe(argument_pointers[0], argument_pointers.data(), environment_pointers.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  if (process > 0) return child_process(process, pipe[0]);
  ::close(pipe[0]);
  return make_error(errc::internal, "Cannot start '" + words[0] + "'.");
}

child_process::child_process(child_process&& other) noexcept
    : process_(std::exchange(other.process_, 0)),
      output_(std::exchange(other.output_, -1)),
      text_(std::move(other.text_)) {}

child_process::~child_process() {
  if (process_ != 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  if (output_ >= 0) ::close(output_);
}

bool child_process::read_some(clock::time_point deadline) {
  pollfd readable{output_, POLLIN, 0};
  if (::poll(&readable, 1, milliseconds_until(deadline)) <= 0) return false;
  char bytes[4096];
  const auto n = ::read(output_, bytes, sizeof bytes);
  if (n > 0) text_.append(bytes, static_cast<std::size_t>(n));
  return n > 0;
}

std::optional<std::string> child_process::read_line(clock::time_point deadline) {
  std::size_t end = 0;
  while ((end = text_.find('\n')) == std::string::npos)
    if (!read_some(deadline)) return std::nullopt;
  auto line = text_.substr(0, end);
  text_.erase(0, end + 1);
  return line;
}

std::optional<std::pair<std::string, int>> child_process::wait(clock::time_point deadline) {
  while (read_some(deadline)) {
  }
  // Its output is closed, or it is late.
  for (int status = 0;; ::usleep(1'000)) {
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      process_ = 0;
      if (!WIFEXITED(status)) return std::nullopt;
      return std::pair{std::exchange(text_, {}), WEXITSTATUS(status)};
    }
    if (clock::now() >= deadline) return std::nullopt;
  }
}

std::optional<std::string> find_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (auto candidate = folder + "/" + name; ::access(candidate.c_str(), X_OK) == 0) return candidate;
  return std::nullopt;
}

double cpu_seconds_of(pid_t process) {
  clockid_t of{};
  timespec used{};
  if (::clock_getcpuclockid(process, &of) != 0 || ::clock_gettime(of, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace troupe::bench
