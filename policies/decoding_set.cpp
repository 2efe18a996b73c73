#include "policies/decoding_set.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace troupe::policies {

struct decoding_set::later {
  bool operator()(const entry& a, const entry& b) const {
    return a.last_step != b.last_step ? a.last_step > b.last_step : a.ticket > b.ticket;
  }
};

void decoding_set::add(const member& joining) {
  TROUPE_ASSERT(joining.left > 0, "a sequence with nothing left to draw does not decode");
  const entry made{steps_ + joining.left, tickets_++, joining.request, joining.positions + joining.left};
  by_end_.push_back(made);
  std::push_heap(by_end_.begin(), by_end_.end(), later{});
  by_ticket_.push_back(made);
  positions_ += joining.positions;
  ++size_;
}

void decoding_set::step(std::vector<member>& ended) {
  ++steps_;
  positions_ += size_;
  while (!by_end_.empty() && by_end_.front().last_step <= steps_) {
    const entry top = by_end_.front();
    std::pop_heap(by_end_.begin(), by_end_.end(), later{});
    by_end_.pop_back();
    positions_ -= top.positions_at_end;
    --size_;
    ended.push_back({top.request, top.positions_at_end, 0});
  }
  // Bounded: hardly more of those that ended stay behind than there are running ones.
  if (by_ticket_.size() > 2 * std::size_t{size_} + 16)
    std::erase_if(by_ticket_, [this](const entry& e) { return e.last_step <= steps_; });
}

decoding_set::member decoding_set::remove_newest() {
  while (!by_ticket_.empty() && by_ticket_.back().last_step <= steps_)
    by_ticket_.pop_back();
  TROUPE_ASSERT(!by_ticket_.empty(), "there is a sequence to remove");
  const entry newest = by_ticket_.back();
  by_ticket_.pop_back();
  std::erase_if(by_end_, [&](const entry& e) { return e.ticket == newest.ticket; });
  std::make_heap(by_end_.begin(), by_end_.end(), later{});
  const auto left = static_cast<std::uint32_t>(newest.last_step - steps_);
  const std::uint64_t positions = newest.positions_at_end - left;
  positions_ -= positions;
  --size_;
  return {newest.request, positions, left};
}

}  // namespace troupe::policies
