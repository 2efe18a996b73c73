#include "transport/bulk_receiver.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace troupe::transport {

result<std::uint64_t> bulk_receiver::open(const node_id& sender, std::vector<std::span<std::byte>> places,
                                          completion done) {
  entry made;
  made.sender = sender;
  for (const auto place : places)
    made.states.push_back(place.empty() ? part_state::arrived : part_state::expected);
  made.n_arrived = static_cast<std::size_t>(std::ranges::count(made.states, part_state::arrived));
  TROUPE_ASSERT(made.n_arrived < places.size(), "a ticket is for at least one byte");
  made.places = std::move(places);
  made.done = std::move(done);
  std::lock_guard lock(mutex_);
  std::uint64_t ticket = 0;
  while (ticket == 0 || entries_.contains(ticket))
    if (auto filled = fill_random_(std::as_writable_bytes(std::span(&ticket, 1))); !filled) return filled.error();
  entries_.emplace(ticket, std::move(made));
  return ticket;
}

bulk_receiver::completion bulk_receiver::settle(entries::iterator at, bool& arrived) {
  entry& of = at->second;
  const bool complete = of.n_arrived == of.places.size();
  if (of.n_arriving > 0 || (!complete && !of.broken)) return {};
  arrived = complete && !of.broken;
  completion done = std::move(of.done);
  entries_.erase(at);
  return done;
}

void bulk_receiver::expect(std::uint64_t ticket, std::uint32_t n_parts) {
  bool arrived = false;
  completion done;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(ticket);
    if (found == entries_.end()) return;
    entry& of = found->second;
    if (n_parts > of.places.size()) of.broken = true;
    for (std::size_t part = n_parts; part < of.states.size(); ++part) {
      if (of.states[part] != part_state::expected && !of.places[part].empty()) of.broken = true;
      if (of.states[part] == part_state::expected) {
        of.states[part] = part_state::arrived;
        ++of.n_arrived;
      }
    }
    done = settle(found, arrived);
  }
  if (done) done(arrived);
}

void bulk_receiver::close(std::uint64_t ticket) {
  bool arrived = false;
  completion done;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(ticket);
    if (found == entries_.end()) return;
    found->second.broken = true;
    done = settle(found, arrived);
  }
  if (done) done(arrived);
}

void bulk_receiver::close_all(const node_id& sender) {
  std::vector<std::uint64_t> tickets;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [ticket, of] : entries_)
      if (of.sender == sender) tickets.push_back(ticket);
  }
  for (const auto ticket : tickets)
    close(ticket);
}

void bulk_receiver::abandon() {
  entries all;
  {
    std::lock_guard lock(mutex_);
    all.swap(entries_);
  }
  for (auto& [ticket, of] : all)
    if (of.done) of.done(false);
}

std::span<std::byte> bulk_receiver::offer(const node_id& sender, std::uint64_t ticket, std::uint32_t part,
                                          std::size_t size) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) return {};
  entry& of = found->second;
  if (of.sender != sender || of.broken || part >= of.places.size()) return {};
  if (of.states[part] != part_state::expected || of.places[part].size() != size) return {};
  of.states[part] = part_state::arriving;
  ++of.n_arriving;
  return of.places[part];
}

void bulk_receiver::received(std::uint64_t ticket, std::uint32_t part, bool intact) {
  bool arrived = false;
  completion done;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(ticket);
    if (found == entries_.end()) return;
    entry& of = found->second;
    if (part >= of.states.size() || of.states[part] != part_state::arriving) return;
    of.states[part] = part_state::arrived;
    --of.n_arriving;
    ++of.n_arrived;
    of.broken = of.broken || !intact;
    done = settle(found, arrived);
  }
  if (done) done(arrived);
}

std::size_t bulk_receiver::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace troupe::transport
