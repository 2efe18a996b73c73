// Simulations side by side: each in one thread, as many at once as there are processors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace troupe::simulator {

/// Calls run(i) for each i below n, on so many threads (0: one for each processor), this one among them. An exception
/// of a run, an assertion say, keeps what has not begun from beginning and comes out here.
template <class Run>
void run_parallel(std::size_t n, unsigned threads, Run&& run) {
  std::atomic<std::size_t> next{0};
  std::mutex failing;
  std::exception_ptr failed;
  const auto work = [&] {
    for (std::size_t i = next++; i < n; i = next++) {
      try {
        run(i);
      } catch (...) {
        const std::lock_guard lock(failing);
        if (!failed) failed = std::current_exception();
        next = n;
        return;
      }
    }
  };
  if (threads == 0) threads = std::max(std::thread::hardware_concurrency(), 1u);
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min<std::size_t>(threads, n); ++i)
      others.emplace_back(work);
    work();
  }
  if (failed) std::rethrow_exception(failed);
}

}  // namespace troupe::simulator
