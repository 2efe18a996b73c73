// Runs a program to its end without a shell: no word of an argument is ever interpreted.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

struct process_request {
  std::vector<std::string> arguments;                            // the program first, searched in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // on top of this process's own
  std::filesystem::path folder;                                  // where it runs
};

struct process_outcome {
  int exit_code = 0;        // 128 + number for a program that died of a signal, as shells count
  bool stopped = false;     // by keep_going, not by itself
  std::string output_tail;  // the last 4 KiB of its standard output and error
};

/// Calls keep_going about ten times a second. Once it returns false the program gets SIGTERM, and SIGKILL two seconds
/// later; it is always reaped before this returns. Errors: not_found (no such program), unavailable (cannot start it).
result<process_outcome> run_process(const process_request& request, const std::function<bool()>& keep_going);

}  // namespace troupe
