// `troupe serve` as a child process, for benchmarks that look at it from outside.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace troupe::bench {

class server_process {
 public:
  /// Starts it on a free port of 127.0.0.1 and waits until /health/ready says 200. Errors: internal when it cannot be
  /// started, ends, or is not ready within 30 s.
  static result<server_process> start(const std::filesystem::path& troupe, const std::filesystem::path& model,
                                      std::vector<std::string> flags);
  server_process(server_process&& other) noexcept;
  server_process& operator=(server_process&&) = delete;
  /// SIGTERM, and waits for the end.
  ~server_process();

  std::uint16_t port() const { return port_; }
  double seconds_to_ready() const { return seconds_to_ready_; }
  /// Processor seconds it has used so far.
  double cpu_seconds() const;
  /// The most memory it has held at once.
  double peak_resident_mib() const;

 private:
  server_process(pid_t process, std::uint16_t port) : process_(process), port_(port) {}

  pid_t process_;
  std::uint16_t port_;
  double seconds_to_ready_ = 0;
};

}  // namespace troupe::bench
