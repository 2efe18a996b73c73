#include "runtime/parallel/thread_pool.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <sched.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace troupe {
namespace {

// About 50 µs: longer than any gap between two loops of a step, shorter than what an idle engine may waste.
constexpr int spins_before_sleep = 3000;
// Then a processor may be missing: others are let in, and at last the caller sleeps too.
constexpr int spins_before_yield = 1000;
constexpr int yields_before_sleep = 20;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

std::uint32_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::uint32_t>(CPU_COUNT(&set));
  const unsigned n = std::thread::hardware_concurrency();
  return n ? n : 1;
}

}  // namespace

struct thread_pool::state {
  // Each on its own cache line: the epoch is read by all while `busy` and `next_task` are written by all.
  alignas(64) std::atomic<std::uint32_t> epoch{0};  // counts the loops started
  alignas(64) std::atomic<std::uint32_t> busy{0};   // workers that have not finished the current loop
  alignas(64) std::atomic<std::size_t> next_task{0};
  alignas(64) std::size_t n_tasks = 0;
  erased_body body = nullptr;  // nullptr: the pool is closing
  void* self = nullptr;
  std::vector<std::thread> threads;

  void work(std::uint32_t worker) {
    for (std::uint32_t seen = 0;;) {
      std::uint32_t now = epoch.load(std::memory_order_acquire);
      for (int spin = 0; now == seen && spin < spins_before_sleep; ++spin) {
        relax();
        now = epoch.load(std::memory_order_acquire);
      }
      if (now == seen) {
        epoch.wait(seen, std::memory_order_acquire);
        continue;
      }
      seen = now;
      if (!body) return;
      body(self, worker);
      if (busy.fetch_sub(1, std::memory_order_seq_cst) == 1) busy.notify_one();
    }
  }

  void wait_for_workers() {
    for (int turn = 0;; ++turn) {
      const std::uint32_t n = busy.load(std::memory_order_acquire);
      if (n == 0) return;
      if (turn < spins_before_yield)
        relax();
      else if (turn < spins_before_yield + yields_before_sleep)
        sched_yield();
      else
        busy.wait(n, std::memory_order_acquire);
    }
  }

  void start_loop(erased_body next_body, void* next_self) {
    body = next_body;
    self = next_self;
    busy.store(static_cast<std::uint32_t>(threads.size()), std::memory_order_relaxed);
    epoch.fetch_add(1, std::memory_order_seq_cst);
    epoch.notify_all();
  }
};

thread_pool::thread_pool(std::uint32_t n_threads) : state_(std::make_unique<state>()) {
  if (n_threads == 0) n_threads = usable_processors();
  state_->threads.reserve(n_threads - 1);
  for (std::uint32_t worker = 1; worker < n_threads; ++worker)
    state_->threads.emplace_back([s = state_.get(), worker] { s->work(worker); });
}

thread_pool::~thread_pool() {
  state_->start_loop(nullptr, nullptr);
  for (auto& thread : state_->threads)
    thread.join();
}

std::uint32_t thread_pool::size() const {
  return static_cast<std::uint32_t>(state_->threads.size()) + 1;
}

void thread_pool::run_erased(erased_body body, void* self) {
  if (!state_->threads.empty()) state_->start_loop(body, self);
  body(self, 0);
  state_->wait_for_workers();
}

void thread_pool::begin_tasks(std::size_t n_tasks) {
  state_->n_tasks = n_tasks;
  state_->next_task.store(0, std::memory_order_relaxed);
}

bool thread_pool::take_task(std::size_t& task) {
  task = state_->next_task.fetch_add(1, std::memory_order_relaxed);
  return task < state_->n_tasks;
}

}  // namespace troupe
