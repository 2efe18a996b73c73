#include "runtime/openai/preparation_queue.hpp"

namespace troupe::openai {

preparation_queue::preparation_queue(std::size_t capacity) : queue_(capacity), thread_([this] { run(); }) {}

preparation_queue::~preparation_queue() {
  queue_.close();
  thread_.join();
}

void preparation_queue::run() {
  for (auto jobs = queue_.wait_and_drain(); !jobs.empty(); jobs = queue_.wait_and_drain())
    for (const job& work : jobs)
      work(!queue_.closed());
}

}  // namespace troupe::openai
