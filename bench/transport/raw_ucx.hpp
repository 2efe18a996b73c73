// UCX without anything above it: ucx_perftest, of the package ucx-utils. Two processes that do nothing but poll, each
// on a core of its own: what a transport over UCX could reach at best.
#pragma once

#include "base/result.hpp"
#include "bench/transport/measurement.hpp"

#include <cstddef>
#include <string>

namespace troupe::bench {

struct raw_ucx_task {
  std::string transports;  // UCX_TLS
  std::size_t bytes = 0;
  std::size_t count = 0;
  int server_core = -1;  // -1: any
  int client_core = -1;
  bool error_handling = false;  // of peers, which Troupe cannot do without
};

bool raw_ucx_is_installed();

/// Active messages there and back: p50 and p99, from a run each since ucx_perftest tells one percentile of a run.
/// Errors: internal (it could not be run, took longer than a minute, or says what cannot be read).
result<measurement> raw_ucx_latency(const raw_ucx_task& task);
/// Active messages one way: per_second. Errors: as above.
result<measurement> raw_ucx_rate(const raw_ucx_task& task);

}  // namespace troupe::bench
