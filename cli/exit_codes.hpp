// What the process tells its caller; sysexits.h where it has a word for it.
#pragma once

#include "base/result.hpp"

namespace troupe::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_unavailable = 69;    // EX_UNAVAILABLE
inline constexpr int exit_configuration = 78;  // EX_CONFIG

/// Prints the error to stderr and says with which code to leave.
int fail(const error& failure);
/// The same for a server that does not start: what names a setting is a matter of configuration.
int fail_to_start(const error& failure);

}  // namespace troupe::cli
