// `troupe tether PARENT COMMAND…` becomes the command, which ends when the process PARENT, its parent, ends in whatever
// way: what this binary starts is never left behind. Not for people, so it is in no help.
#pragma once

#include <string>
#include <vector>

namespace troupe::cli {

inline constexpr const char* tether_verb = "tether";

/// The command in its tethered form; `program` is this binary. To be started by a thread that lives as long as the
/// command should: to the kernel a parent is the thread.
std::vector<std::string> tethered(const std::string& program, std::vector<std::string> command);

/// The verb; returns only when the command cannot be started.
int run_tethered(int argc, char** argv);

}  // namespace troupe::cli
