#include "etcd_process.hpp"

#include "actors/registry/etcd_gateway.hpp"
#include "catch.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::test {
namespace {

std::string free_address() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  REQUIRE(::bind(probe, reinterpret_cast<sockaddr*>(&where), size) == 0);
  REQUIRE(::getsockname(probe, reinterpret_cast<sockaddr*>(&where), &size) == 0);
  ::close(probe);
  return "127.0.0.1:" + std::to_string(ntohs(where.sin_port));
}

}  // namespace

bool has_etcd() {
  return std::system("command -v etcd >/dev/null 2>&1") == 0;
}

etcd_process::etcd_process() : endpoint_(free_address()), peer_(free_address()) {
  std::string name = (std::filesystem::temp_directory_path() / "troupe-etcd-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
}

etcd_process::~etcd_process() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool etcd_process::start() {
  const std::string client = "http://" + endpoint_, peer = "http://" + peer_, log = folder_ / "log";
  const std::vector<std::string> words{"etcd",
                                       "--name",
                                       "test",
                                       "--data-dir",
                                       folder_ / "data",
                                       "--listen-client-urls",
                                       client,
                                       "--advertise-client-urls",
                                       client,
                                       "--listen-peer-urls",
                                       peer,
                                       "--initial-advertise-peer-urls",
                                       peer,
                                       "--initial-cluster",
                                       "test=" + peer,
                                       "--heartbeat-interval",
                                       "50",
                                       "--election-timeout",
                                       "500"};
  std::vector<char*> arguments;
  for (const auto& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execvp("etcd", arguments.data());
    ::_exit(127);
  }
  etcd_gateway gateway({endpoint_}, std::chrono::seconds(1));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (gateway.range("a", "b", 1)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

void etcd_process::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void etcd_process::freeze(bool on) const {
  ::kill(process_, on ? SIGSTOP : SIGCONT);
}

}  // namespace troupe::test
