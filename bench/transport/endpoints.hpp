// The two processes of a pair, one actor system each. A server writes the port it listens on to standard output, as a
// line, and waits to be killed; a client measures, writes its measurement as JSON and ends.
#pragma once

#include "bench/transport/measurement.hpp"

namespace troupe::bench {

/// Troupe's bridge over UCX.
[[noreturn]] void run_troupe_endpoint(const endpoint_task& task);
/// CAF's own network (BASP over TCP).
[[noreturn]] void run_basp_endpoint(const endpoint_task& task);

/// For a server: tells the port and waits.
[[noreturn]] void serve_on(std::uint16_t port);
/// For a client.
[[noreturn]] void bring_home(const measurement& made);

}  // namespace troupe::bench
