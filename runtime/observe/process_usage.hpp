// What the operating system says this process uses, for the process_* metrics that Prometheus dashboards expect.
#pragma once

namespace troupe {

struct process_usage {
  double resident_bytes = 0;
  double cpu_seconds = 0;         // user and system time of all threads
  double start_unix_seconds = 0;  // when the process began
};

/// Reads /proc and getrusage; what cannot be read stays 0. A few tens of microseconds.
process_usage read_process_usage();

}  // namespace troupe
