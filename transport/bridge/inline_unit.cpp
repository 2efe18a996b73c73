#include "transport/bridge/inline_unit.hpp"

namespace troupe::transport {

bool inline_unit::run(std::chrono::microseconds budget) {
  if (jobs_.empty()) return false;
  if (budget < budget.zero()) {
    hand_over();
    return true;
  }
  const auto end = std::chrono::steady_clock::now() + budget;
  while (!jobs_.empty()) {
    caf::resumable* const job = jobs_.front();
    jobs_.pop_front();
    switch (job->resume(this, messages_per_turn)) {
      case caf::resumable::resume_later:
        jobs_.push_back(job);  // keeps its reference
        break;
      default:
        caf::intrusive_ptr_release(job);
        break;
    }
    if (!jobs_.empty() && std::chrono::steady_clock::now() > end) hand_over();
  }
  return true;
}

void inline_unit::hand_over() {
  for (auto* const job : jobs_)
    system().scheduler().enqueue(job);
  jobs_.clear();
}

}  // namespace troupe::transport
