#include "simulator/watched_bulk_port.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {

watched_bulk_port::watched_bulk_port(std::shared_ptr<bulk_port> inner, std::function<void(std::string_view)> on_call)
    : inner_(std::move(inner)), on_call_(std::move(on_call)) {}

std::uint64_t watched_bulk_port::note(spans used) {
  in_use_->emplace(++last_, std::move(used));
  return last_;
}

result<std::uint64_t> watched_bulk_port::open(const caf::actor& sender, std::vector<std::span<std::byte>> places,
                                              completion done) {
  const auto id = note(spans(places.begin(), places.end()));
  auto ticket = inner_->open(sender, std::move(places), [in_use = in_use_, id, done = std::move(done)](bool whole) {
    in_use->erase(id);
    done(whole);
  });
  if (!ticket) in_use_->erase(id);
  return ticket;
}

void watched_bulk_port::send(const caf::actor& receiver, std::uint64_t ticket, std::uint32_t first_part,
                             std::vector<std::span<const std::byte>> parts, completion done) {
  const auto id = note(parts);
  on_call_("send");
  inner_->send(receiver, ticket, first_part, std::move(parts),
               [in_use = in_use_, id, told = on_call_, done = std::move(done)](bool whole) {
                 in_use->erase(id);
                 told("sent");
                 done(whole);
               });
}

bool watched_bulk_port::uses(std::span<const std::byte> memory) const {
  const auto lies_in = [&](std::span<const std::byte> part) {
    return part.data() >= memory.data() && part.data() < memory.data() + memory.size();
  };
  return std::any_of(in_use_->begin(), in_use_->end(),
                     [&](const auto& entry) { return std::any_of(entry.second.begin(), entry.second.end(), lies_in); });
}

}  // namespace troupe::simulator
