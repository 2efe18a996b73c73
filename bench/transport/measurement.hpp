// What a pair of processes is told to do, and what it brings home. Both travel as JSON: the task on the command line of
// a process, the measurement on its standard output.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::bench {

/// One process of a pair. A server is told system, transports, host, core and spin_us only.
struct endpoint_task {
  std::string system = {};         // "troupe", or "basp": CAF's own network
  std::string work = {};           // "serve"; of a client "latency", "rate", "bulk_latency", "bulk_rate", "idle"
  std::string transports = {};     // UCX_TLS; empty: all
  std::string host = "127.0.0.1";  // of the server; one that is not loopback makes a sealed session
  std::uint16_t port = 0;
  int server = 0;             // its process
  int core = -1;              // the only one the process may run on; -1: any
  std::int64_t spin_us = 0;   // bridge_options::spin
  std::int64_t pause_us = 0;  // between the answer to a request and the next request
  std::size_t bytes = 0;      // of a message or a part
  bool huge_pages = false;    // bulk memory is on huge pages, as K and V are
  std::size_t count = 0;      // round trips, messages or parts; of "idle" seconds
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(endpoint_task, system, work, transports, host, port, server, core, spin_us, pause_us,
                                   bytes, huge_pages, count)

/// Those that do not apply stay 0.
struct measurement {
  double p50_us = 0;  // one way: half a round trip
  double p99_us = 0;
  double cpu_us = 0;      // processor time of a round trip, both processes
  double per_second = 0;  // messages or parts
  double idle_cpu = 0;    // of one processor, of the busier process
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(measurement, p50_us, p99_us, cpu_us, per_second, idle_cpu)

/// Round trips at the beginning that are not counted.
constexpr std::size_t warm_up_of(std::size_t count) {
  return std::max<std::size_t>(count / 10, 2);
}

/// From round trips to one way. Needs one sample.
inline void set_latencies(measurement& of, std::vector<double> round_trips_us) {
  std::ranges::sort(round_trips_us);
  const auto n = round_trips_us.size();
  of.p50_us = round_trips_us[n / 2] / 2;
  of.p99_us = round_trips_us[n * 99 / 100] / 2;
}

}  // namespace troupe::bench
