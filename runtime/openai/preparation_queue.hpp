// One thread for the work between a request and its submission that can take long: a megabyte of JSON, a template over
// a hundred messages, a prompt that fills the context. The HTTP thread goes on serving the streams meanwhile.
#pragma once

#include "base/bounded_queue.hpp"

#include <functional>
#include <thread>

namespace troupe::openai {

class preparation_queue {
 public:
  /// A job runs once: with true on the queue's thread, or with false, soon, when the queue is being closed.
  using job = std::function<void(bool)>;

  explicit preparation_queue(std::size_t capacity);
  ~preparation_queue();  // jobs not begun are told so

  /// False when the queue is full; the job is untouched then.
  bool push(job&& work) { return queue_.push(std::move(work)); }
  std::size_t size() const { return queue_.size(); }

 private:
  void run();

  bounded_queue<job> queue_;
  std::thread thread_;
};

}  // namespace troupe::openai
