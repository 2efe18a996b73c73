#include "bench/server_process.hpp"

#include "bench/clock.hpp"
#include "bench/event_stream.hpp"
#include "bench/free_port.hpp"

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace troupe::bench {
namespace {

std::string contents_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

result<server_process> server_process::start(const std::filesystem::path& troupe, const std::filesystem::path& model,
                                             std::vector<std::string> flags) {
  const std::uint16_t port = free_port();
  std::vector<std::string> words{troupe, "serve", model, "--port", std::to_string(port), "--log-file", "/dev/null"};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const auto begun = clock::now();
  pid_t process = 0;
  if (::posix_spawn(&process, troupe.c_str(), nullptr, nullptr, arguments.data(), environ) != 0)
    return make_error(errc::internal, "Cannot start '" + troupe.string() + "'.");
  server_process made(process, port);
  while (seconds_since(begun) < 30) {
    if (http_status(port, "/health/ready") == 200) {
      made.seconds_to_ready_ = seconds_since(begun);
      return made;
    }
    if (::waitpid(process, nullptr, WNOHANG) == process) {
      made.process_ = 0;
      return make_error(errc::internal, "'troupe serve' ended before it was ready.");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return make_error(errc::internal, "'troupe serve' was not ready within 30 s.");
}

server_process::server_process(server_process&& other) noexcept
    : process_(std::exchange(other.process_, 0)), port_(other.port_), seconds_to_ready_(other.seconds_to_ready_) {}

server_process::~server_process() {
  if (process_ == 0) return;
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
}

double server_process::cpu_seconds() const {
  const std::string line = contents_of("/proc/" + std::to_string(process_) + "/stat");
  std::istringstream fields(line.substr(line.rfind(')') + 1));  // the name before it may hold spaces
  std::string skipped;
  for (int i = 0; i < 11; ++i)
    fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double server_process::peak_resident_mib() const {
  std::istringstream lines(contents_of("/proc/" + std::to_string(process_) + "/status"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  return 0;
}

}  // namespace troupe::bench
