#include "runtime/parallel/thread_pool.hpp"

#include "catch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include <sched.h>

using namespace troupe;

TEST_CASE("every worker runs once in every loop and the loop ends after all of them", "[thread_pool]") {
  for (const std::uint32_t n : {1u, 2u, 3u, 8u}) {
    thread_pool pool(n);
    REQUIRE(pool.size() == n);
    std::vector<std::uint32_t> calls(n, 0);  // not atomic: a loop that ended early would race and lose counts
    for (int loop = 0; loop < 2'000; ++loop) {
      pool.run([&](std::uint32_t worker) { ++calls[worker]; });
      for (std::uint32_t& count : calls)
        REQUIRE(count == static_cast<std::uint32_t>(loop) + 1);
    }
  }
}

TEST_CASE("tasks are handed out once each", "[thread_pool]") {
  thread_pool pool(4);
  for (const std::size_t n_tasks : {0u, 1u, 3u, 1'000u}) {
    std::vector<std::atomic<int>> taken(n_tasks);
    pool.for_each_task(n_tasks, [&](std::size_t task, std::uint32_t worker) {
      if (worker < 4) ++taken[task];
    });
    for (const auto& count : taken)
      CHECK(count == 1);
  }
}

TEST_CASE("zero means the processors this process may use", "[thread_pool]") {
  CHECK(thread_pool(0).size() >= 1);
  CHECK(thread_pool(0).size() <= std::thread::hardware_concurrency());
}

TEST_CASE("a pool that has slept wakes up, and sleeping costs nothing", "[thread_pool]") {
  thread_pool pool(3);
  std::atomic<int> calls{0};
  const auto count = [&](std::uint32_t) { ++calls; };
  pool.run(count);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long past the spinning
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double busy_s = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(busy_s < 0.05);
  pool.run(count);
  CHECK(calls == 6);
}

TEST_CASE("workers that were woken may run wherever the process may", "[thread_pool]") {
  cpu_set_t process;
  REQUIRE(sched_getaffinity(0, sizeof process, &process) == 0);
  thread_pool pool(3);
  for (int loop = 0; loop < 3; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // long past the spinning
    std::array<cpu_set_t, 3> workers{};
    pool.run([&](std::uint32_t worker) { sched_getaffinity(0, sizeof(cpu_set_t), &workers[worker]); });
    for (const auto& worker : workers)
      CHECK(CPU_EQUAL(&worker, &process));
  }
}
