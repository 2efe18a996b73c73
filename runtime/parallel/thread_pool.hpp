// A persistent pool for the data-parallel loops of a step. The caller is one of the workers. Threads spin briefly
// between loops of a step, since the next one is microseconds away, and sleep when the engine does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace troupe {

class thread_pool {
 public:
  /// n_threads counts the caller; 0 means one for each processor this process may use.
  explicit thread_pool(std::uint32_t n_threads);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  std::uint32_t size() const;

  /// Calls body(worker) once for each worker in [0, size()), concurrently, and returns when all have. No allocation.
  /// Not reentrant; body must not throw. How a loop's range is split is the caller's business: results never depend on
  /// it.
  template <class Body>
  void run(Body&& body) {
    run_erased([](void* self, std::uint32_t worker) { (*static_cast<std::remove_reference_t<Body>*>(self))(worker); },
               const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// run() that hands out tasks [0, n_tasks) one by one from a shared counter: for tasks of uneven cost.
  template <class Body>
  void for_each_task(std::size_t n_tasks, Body&& body) {
    begin_tasks(n_tasks);
    run([&](std::uint32_t worker) {
      for (std::size_t task; take_task(task);)
        body(task, worker);
    });
  }

 private:
  using erased_body = void (*)(void* self, std::uint32_t worker);
  void run_erased(erased_body body, void* self);
  void begin_tasks(std::size_t n_tasks);
  bool take_task(std::size_t& task);

  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe
