// Further workers for a head that scales: processes here, over ssh on other hosts, or whatever a command of the
// operator's does. What is started is owned: it ends when it is told to, or with the head, and is looked after by its
// process id. One thread starts, watches and ends; the calls of the scheduler return at once.
#pragma once

#include "cli/child_process.hpp"
#include "cli/launch_plan.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace troupe::cli {

struct launcher_settings {
  launch_settings launch;          // head_address is given by open()
  std::vector<launch_host> hosts;  // filled in their order; empty: here
  std::string hook;                // called instead, with `up NAME` and `down NAME`; empty: none
  std::string log_file;            // of the head: that of a node has the node's name behind it; empty: stderr
  std::uint32_t share = 1;         // workers that share this machine's processors, unless threads are given
};

class worker_launcher {
 public:
  explicit worker_launcher(launcher_settings settings);
  /// Ends everything that it started.
  ~worker_launcher();
  worker_launcher(const worker_launcher&) = delete;
  worker_launcher& operator=(const worker_launcher&) = delete;

  /// Where nodes join; what was asked for before waits for it.
  void open(const std::string& head_address);
  /// One more node, with a name of the form auto-N.
  void start();
  /// A node was told to stop; one that does not is ended.
  void stop(const std::string& name);
  bool owns(const std::string& name) const;

 private:
  using clock = std::chrono::steady_clock;
  struct owned {
    child_process process;  // with a hook, the call of it that runs
    std::size_t host = 0;
    bool up = false;  // was started, and is not known to have ended
    bool stopping = false;
    clock::time_point end_at{}, kill_at{};  // while stopping
  };

  void run();
  void start_next();
  void start_process(const std::string& name);
  void watch();
  void end_all();
  bool has_ended(owned& of);
  bool call_hook(owned& of, const std::string& name, const char* what);
  std::size_t find_host() const;

  launcher_settings settings_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, owned> nodes_;  // by name
  std::uint32_t wanted_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace troupe::cli
