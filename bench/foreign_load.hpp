// How much other programs compute while something is measured: what a busy machine says about its measurements.
#pragma once

#include "bench/clock.hpp"

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

namespace troupe::bench {

/// From its making on.
class foreign_load {
 public:
  /// Processor time of other programs, and what a hypervisor took, in processors.
  double processors() const { return (busy_s() - busy_s_) / seconds_since(since_); }

 private:
  /// All that the processors did for others than this process, in s.
  static double busy_s() {
    std::ifstream stat("/proc/stat");
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0, stolen = 0;
    stat >> name >> user >> nice >> system >> idle >> waiting >> irq >> softirq >> stolen;
    const double ticks = user + nice + system + irq + softirq + stolen;
    rusage own{};
    getrusage(RUSAGE_SELF, &own);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK)) - seconds(own.ru_utime) - seconds(own.ru_stime);
  }

  clock::time_point since_ = clock::now();
  double busy_s_ = busy_s();
};

/// Waits until others use less than so many processors for a second, at most so long. False: they never did.
inline bool wait_for_quiet(double processors, std::chrono::seconds longest) {
  for (const auto end = clock::now() + longest; clock::now() < end;) {
    const foreign_load others;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    if (others.processors() < processors) return true;
  }
  return false;
}

}  // namespace troupe::bench
