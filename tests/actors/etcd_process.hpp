// A real etcd on loopback for the length of a test: ports of the system's choice, data in a folder of its own.
#pragma once

#include <filesystem>
#include <string>

#include <sys/types.h>

namespace troupe::test {

/// Is there an `etcd` to run?
bool has_etcd();

class etcd_process {
 public:
  etcd_process();
  ~etcd_process();
  etcd_process(const etcd_process&) = delete;
  etcd_process& operator=(const etcd_process&) = delete;

  /// "127.0.0.1:PORT"
  const std::string& endpoint() const { return endpoint_; }
  /// Starts it, with the data it had, and waits until it answers; false when it does not within 20 s.
  bool start();
  void kill();
  void freeze(bool on) const;

 private:
  std::filesystem::path folder_;
  std::string endpoint_, peer_;
  pid_t process_ = -1;
};

}  // namespace troupe::test
