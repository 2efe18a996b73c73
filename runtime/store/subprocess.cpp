#include "runtime/store/subprocess.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace troupe {
namespace {

constexpr int tick_ms = 100;
constexpr auto grace = std::chrono::seconds(2);  // between SIGTERM and SIGKILL
constexpr std::size_t max_tail_bytes = 4096;

class output_pipe {
 public:
  output_pipe() { open_ = ::pipe2(ends_, O_CLOEXEC) == 0 && ::fcntl(ends_[0], F_SETFL, O_NONBLOCK) == 0; }
  output_pipe(const output_pipe&) = delete;
  output_pipe& operator=(const output_pipe&) = delete;
  ~output_pipe() {
    for (const int end : ends_)
      if (end >= 0) ::close(end);
  }

  bool is_open() const { return open_; }
  int write_end() const { return ends_[1]; }
  void close_write_end() {
    ::close(ends_[1]);
    ends_[1] = -1;
  }

  /// Waits up to a tick for output and keeps its end.
  void read_for_a_tick(std::string& tail) {
    pollfd waiting{ends_[0], POLLIN, 0};
    if (::poll(&waiting, 1, tick_ms) > 0 && !read_available(tail))
      std::this_thread::sleep_for(std::chrono::milliseconds(tick_ms));  // closed by the child: nothing to wait on
  }

  /// False when nothing came: the pipe is empty or its writers are gone.
  bool read_available(std::string& tail) {
    char buffer[4096];
    const ssize_t n = ::read(ends_[0], buffer, sizeof(buffer));
    if (n <= 0) return false;
    tail.append(buffer, static_cast<std::size_t>(n));
    if (tail.size() > max_tail_bytes) tail.erase(0, tail.size() - max_tail_bytes);
    return true;
  }

 private:
  int ends_[2] = {-1, -1};
  bool open_ = false;
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> merged_environment(const process_request& request) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    bool replaced = false;
    for (const auto& [name, value] : request.environment)
      replaced |= text.starts_with(name + "=");
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : request.environment)
    merged.push_back(name + "=" + value);
  return merged;
}

// posix_spawnp's number, 0 for success.
int spawn(const process_request& request, const output_pipe& output, pid_t& child) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.write_end(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.write_end(), STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(&actions, request.folder.c_str());
  // Threads of a server block or ignore signals; a child that inherited that could not be stopped.
  sigset_t none;
  sigset_t defaults;
  ::sigemptyset(&none);
  ::sigemptyset(&defaults);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE})
    ::sigaddset(&defaults, number);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> arguments = request.arguments;
  std::vector<std::string> environment = merged_environment(request);
  const int failure = ::posix_spawnp(&child, arguments[0].c_str(), &actions, &attributes, pointers_to(arguments).data(),
                                     pointers_to(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return failure;
}

int shell_exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

result<process_outcome> run_process(const process_request& request, const std::function<bool()>& keep_going) {
  TROUPE_ASSERT(!request.arguments.empty(), "the first argument names the program");
  const std::string& program = request.arguments[0];
  output_pipe output;
  if (!output.is_open())
    return make_error(errc::unavailable, "Cannot open a pipe to " + program + ": too many open files?");
  pid_t child = 0;
  if (const int failure = spawn(request, output, child); failure == ENOENT)
    return make_error(errc::not_found, "The program " + program + " was not found in PATH.");
  else if (failure != 0)
    return make_error(errc::unavailable,
                      "Cannot start " + program + ": " + std::generic_category().message(failure) + ".");
  output.close_write_end();

  process_outcome outcome;
  auto kill_at = std::chrono::steady_clock::time_point::max();
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
    if (!outcome.stopped && !keep_going()) {
      outcome.stopped = true;
      ::kill(child, SIGTERM);
      kill_at = std::chrono::steady_clock::now() + grace;
    }
    if (std::chrono::steady_clock::now() >= kill_at) ::kill(child, SIGKILL);
    output.read_for_a_tick(outcome.output_tail);
  }
  if (ended < 0) return make_error(errc::internal, "Lost the exit status of " + program + ".");
  while (output.read_available(outcome.output_tail)) {
  }
  outcome.exit_code = shell_exit_code(status);
  return outcome;
}

}  // namespace troupe
