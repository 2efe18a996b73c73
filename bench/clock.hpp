// How benchmarks tell the time.
#pragma once

#include <chrono>

namespace troupe::bench {

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

}  // namespace troupe::bench
