#include "runtime/parallel/thread_pool.hpp"

#include "base/thread_slice.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <pthread.h>
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
constexpr int yields_before_sleep = 1000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

/// The processors this process may use. Empty when the kernel does not tell.
cpu_set_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  return set;
}

std::uint32_t natural_size(const cpu_set_t& usable) {
  const auto n = static_cast<std::uint32_t>(CPU_COUNT(&usable));
  return n > 0 ? n : std::max(1u, std::thread::hardware_concurrency());
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

  struct member {
    std::thread thread;
    std::atomic<bool> asleep{false};
  };
  std::vector<member> members;  // without the caller
  cpu_set_t usable = usable_processors();

  void work(member& me, std::uint32_t worker) {
    take_ordinary_turns();
    for (std::uint32_t seen = 0;;) {
      std::uint32_t now = epoch.load(std::memory_order_acquire);
      for (int spin = 0; now == seen && spin < spins_before_sleep; ++spin) {
        relax();
        now = epoch.load(std::memory_order_acquire);
      }
      if (now == seen) {
        me.asleep.store(true, std::memory_order_seq_cst);
        epoch.wait(seen, std::memory_order_acquire);
        if (me.asleep.exchange(false, std::memory_order_seq_cst)) continue;
        sched_setaffinity(0, sizeof usable, &usable);  // start_loop has narrowed it
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

  /// Keeps a worker that is about to be woken off the caller's processor. Linux takes a halted virtual processor for
  /// one that its host has preempted, not for an idle one, and wakes threads where the waker runs: there the worker
  /// would wait for the caller's next tick, 4 ms later, and the caller for the worker.
  void make_room_for(member& sleeper) {
    const int here = sched_getcpu();
    if (CPU_COUNT(&usable) < 2 || here < 0) return;
    cpu_set_t elsewhere = usable;
    CPU_CLR(static_cast<std::size_t>(here), &elsewhere);
    pthread_setaffinity_np(sleeper.thread.native_handle(), sizeof elsewhere, &elsewhere);
  }

  void start_loop(erased_body next_body, void* next_self) {
    for (auto& one : members)
      if (one.asleep.load(std::memory_order_relaxed) && one.asleep.exchange(false, std::memory_order_seq_cst))
        make_room_for(one);
    body = next_body;
    self = next_self;
    busy.store(static_cast<std::uint32_t>(members.size()), std::memory_order_relaxed);
    epoch.fetch_add(1, std::memory_order_seq_cst);
    epoch.notify_all();
  }
};

thread_pool::thread_pool(std::uint32_t n_threads) : state_(std::make_unique<state>()) {
  if (n_threads == 0) n_threads = natural_size(state_->usable);
  state_->members = std::vector<state::member>(n_threads - 1);
  for (std::uint32_t worker = 1; worker < n_threads; ++worker) {
    auto& one = state_->members[worker - 1];
    one.thread = std::thread([s = state_.get(), &one, worker] { s->work(one, worker); });
  }
}

thread_pool::~thread_pool() {
  state_->start_loop(nullptr, nullptr);
  for (auto& one : state_->members)
    one.thread.join();
}

std::uint32_t thread_pool::size() const {
  return static_cast<std::uint32_t>(state_->members.size()) + 1;
}

void thread_pool::run_erased(erased_body body, void* self) {
  if (!state_->members.empty()) state_->start_loop(body, self);
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
