// A process that a benchmark starts, reads and ends. It never outlives the benchmark: it is killed when this object
// goes, and by the kernel when the benchmark itself dies.
#pragma once

#include "base/result.hpp"
#include "bench/clock.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace troupe::bench {

class child_process {
 public:
  /// `words`: the program, looked for as a shell does, and its arguments. `variables` are added to this process's.
  /// Errors: internal (no process or pipe to be had; a program that cannot be run ends with 127).
  static result<child_process> start(const std::vector<std::string>& words,
                                     const std::vector<std::pair<std::string, std::string>>& variables = {});
  child_process(child_process&& other) noexcept;
  child_process& operator=(child_process&&) = delete;
  /// SIGKILL, and waits for the end.
  ~child_process();

  pid_t id() const { return process_; }
  /// The next line it writes, without its end; nullopt: no line by then, or none any more.
  std::optional<std::string> read_line(clock::time_point deadline);
  /// The rest of what it writes, and its exit status; nullopt: it did not end by then, or not by itself.
  std::optional<std::pair<std::string, int>> wait(clock::time_point deadline);

 private:
  child_process(pid_t process, int output) : process_(process), output_(output) {}
  /// Adds to text_. False: nothing came by then, or nothing will.
  bool read_some(clock::time_point deadline);

  pid_t process_;
  int output_;
  std::string text_;  // read and not handed out
};

/// Where a shell would find a program; nullopt: nowhere.
std::optional<std::string> find_program(const std::string& name);

/// Processor seconds that a process has used so far, to the nanosecond; 0 when there is none.
double cpu_seconds_of(pid_t process);

}  // namespace troupe::bench
