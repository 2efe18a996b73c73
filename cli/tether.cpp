#include "cli/tether.hpp"

#include "cli/exit_codes.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace troupe::cli {

std::vector<std::string> tethered(const std::string& program, std::vector<std::string> command) {
  std::vector<std::string> words{program, tether_verb, std::to_string(::getpid())};
  words.insert(words.end(), std::make_move_iterator(command.begin()), std::make_move_iterator(command.end()));
  return words;
}

int run_tethered(int argc, char** argv) {
  if (argc < 4) return exit_usage;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // Should the parent be gone already, no signal will come.
  if (::getppid() != static_cast<pid_t>(std::strtol(argv[2], nullptr, 10))) return exit_unavailable;
  ::execvp(argv[3], argv + 3);
  std::fprintf(stderr, "troupe: cannot start %s: %s\n", argv[3], std::strerror(errno));
  return exit_failed;
}

}  // namespace troupe::cli
