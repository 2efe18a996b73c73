// Meshes over UCX on the test's thread and in real time, and the same program again as a child process that can be
// killed.
#pragma once

#include "mesh_world.hpp"
#include "transport/ucx/ucx_fabric.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace troupe::test {

class live_mesh {
 public:
  /// transports: UCX_TLS, "" for all.
  explicit live_mesh(std::string transports, std::string host = "127.0.0.1")
      : transports_(std::move(transports)), host_(std::move(host)) {}

  std::vector<std::unique_ptr<mesh_node>> nodes;

  mesh_node& add(int number, const mesh_world::change_options& change = {});
  void remove(mesh_node& node);
  bool run_until(const std::function<bool()>& what, duration limit = std::chrono::seconds(10));
  void run_for(duration time) { run_until({}, time); }
  transport::peer_pointer connect(mesh_node& from, mesh_node& to);
  std::string failure_to_connect(mesh_node& from, const transport::address& where);

 private:
  std::string transports_;
  std::string host_;
};

/// An address of this machine that is not loopback; "" when it has none.
std::string outer_host();

/// This program again, running one hidden test case with an environment variable set. Killed at the end.
class child_process {
 public:
  child_process(const std::string& test_case, const std::string& variable, const std::string& value);
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  void send_signal(int number);

 private:
  pid_t pid_ = -1;
};

}  // namespace troupe::test
