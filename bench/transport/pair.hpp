// Two processes of this binary, a server and a client, for one measurement. They are fresh each time, since what UCX
// may use is set for a process and for good, and since what one measurement leaves behind must not meet the next.
#pragma once

#include "base/result.hpp"
#include "bench/transport/measurement.hpp"

#include <filesystem>

namespace troupe::bench {

/// `client`: what to measure, but for port and server; the server runs on server_core (-1: any).
/// Errors: internal (one of them did not start, ended early, or took longer than a minute).
result<measurement> measure_pair(const std::filesystem::path& troupe, endpoint_task client, int server_core);

}  // namespace troupe::bench
