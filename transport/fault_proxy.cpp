#include "transport/fault_proxy.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::transport {
namespace {

wire::byte_buffer copy_of(std::span<const std::byte> bytes) {
  wire::byte_buffer made;
  made.append(bytes);
  return made;
}

}  // namespace

fault_proxy::fault_proxy(std::unique_ptr<fabric> inner, std::function<time_point()> now, std::uint64_t seed)
    : forwarding_fabric(std::move(inner)), now_(std::move(now)), random_(seed) {}

void fault_proxy::set_rates(const fault_rates& rates) {
  set_rates(fault_direction::out, rates);
  set_rates(fault_direction::in, rates);
}

void fault_proxy::order(fault_direction which, std::optional<fault> what, std::size_t n_frames, duration late) {
  for (std::size_t i = 0; i < n_frames; ++i)
    way(which).orders.push_back({what, late});
}

fault_proxy::ordered_fault fault_proxy::draw(direction_state& way) {
  if (!way.orders.empty()) {
    const ordered_fault first = way.orders.front();
    way.orders.pop_front();
    return first;
  }
  const fault_rates& rates = way.rates;
  double chance = random_.unit();
  const std::pair<fault, double> table[] = {{fault::lose, rates.lose},         {fault::duplicate, rates.duplicate},
                                            {fault::delay, rates.delay},       {fault::reorder, rates.reorder},
                                            {fault::truncate, rates.truncate}, {fault::flip, rates.flip}};
  for (const auto& [what, rate] : table) {
    if (chance < rate) {
      const double late = random_.unit() * static_cast<double>(rates.longest_delay.count());
      return {what, duration(static_cast<duration::rep>(late))};
    }
    chance -= rate;
  }
  return {};
}

void fault_proxy::spoil(fault what, wire::byte_buffer& frame) {
  if (frame.empty()) return;
  const std::uint64_t at = random_.below(frame.size());
  if (what == fault::truncate) frame.truncate(at);
  if (what == fault::flip) frame.data()[at] ^= std::byte{1} << random_.below(8);
}

void fault_proxy::take(fault_direction which, link_id link, wire::byte_buffer frame) {
  ++n_frames_;
  direction_state& way = this->way(which);
  const auto [what, late] = draw(way);
  if (!what) return queue(which, link, std::move(frame), now_());
  ++done_[static_cast<std::size_t>(*what)];
  switch (*what) {
    case fault::lose:
      return;
    case fault::duplicate:
      queue(which, link, copy_of(frame.bytes()), now_());
      break;
    case fault::delay:
      return queue(which, link, std::move(frame), now_() + late);
    case fault::reorder: {
      auto& aside = way.held[link].aside;
      if (aside) break;  // one at a time
      aside = held_frame{std::move(frame), now_() + reorder_limit};
      return;
    }
    case fault::truncate:
    case fault::flip:
      spoil(*what, frame);
      break;
  }
  queue(which, link, std::move(frame), now_());
}

/// Behind those of the link that wait; at once where none does.
void fault_proxy::queue(fault_direction which, link_id link, wire::byte_buffer frame, time_point due) {
  direction_state& way = this->way(which);
  const auto found = way.held.find(link);
  const bool somebody_waits = found != way.held.end() && !found->second.line.empty();
  if (somebody_waits || due > now_()) {
    way.held[link].line.push_back({std::move(frame), due});
    return;
  }
  std::optional<held_frame> overtaken;
  if (found != way.held.end()) {
    overtaken = std::exchange(found->second.aside, std::nullopt);
    way.held.erase(found);
  }
  pass(which, link, std::move(frame));
  if (overtaken) pass(which, link, std::move(overtaken->frame));
}

void fault_proxy::pass(fault_direction which, link_id link, wire::byte_buffer frame) {
  if (which == fault_direction::out) return inner_->send(link, std::move(frame));
  listener_->on_frame(link, frame.bytes());
}

bool fault_proxy::release_due(fault_direction which) {
  direction_state& way = this->way(which);
  const time_point now = now_();
  std::vector<std::pair<link_id, wire::byte_buffer>> due;
  for (auto at = way.held.begin(); at != way.held.end();) {
    const auto here = at++;
    auto& [line, aside] = here->second;
    while (!line.empty() && line.front().due <= now) {
      due.emplace_back(here->first, std::move(line.front().frame));
      line.pop_front();
      if (aside) due.emplace_back(here->first, std::move(std::exchange(aside, std::nullopt)->frame));
    }
    if (aside && aside->due <= now && line.empty()) {
      due.emplace_back(here->first, std::move(aside->frame));
      aside.reset();
    }
    if (line.empty() && !aside) way.held.erase(here);
  }
  for (auto& [link, frame] : due)
    pass(which, link, std::move(frame));
  return !due.empty();
}

time_point fault_proxy::next_event() const {
  time_point first = time_point::max();
  for (const auto& way : ways_) {
    for (const auto& [link, held] : way.held) {
      if (!held.line.empty()) first = std::min(first, held.line.front().due);
      if (held.aside && held.line.empty()) first = std::min(first, held.aside->due);
    }
  }
  return first;
}

void fault_proxy::forget(link_id link) {
  for (auto& way : ways_)
    way.held.erase(link);
}

void fault_proxy::send(link_id link, wire::byte_buffer frame) {
  take(fault_direction::out, link, std::move(frame));
}

std::size_t fault_proxy::unsent_bytes(link_id link) const {
  std::size_t bytes = inner_->unsent_bytes(link);
  const auto& held = ways_[static_cast<std::size_t>(fault_direction::out)].held;
  if (const auto found = held.find(link); found != held.end())
    for (const auto& waiting : found->second.line)
      bytes += waiting.frame.size();
  return bytes;
}

void fault_proxy::close(link_id link) {
  forget(link);
  inner_->close(link);
}

void fault_proxy::close_gently(link_id link) {
  forget(link);
  inner_->close_gently(link);
}

bool fault_proxy::progress() {
  bool any = release_due(fault_direction::out);
  any = release_due(fault_direction::in) || any;
  return inner_->progress() || any;
}

bool fault_proxy::sleep_until(time_point when) {
  const time_point due = next_event();
  return due > now_() && inner_->sleep_until(std::min(when, due));
}

void fault_proxy::on_frame(link_id link, std::span<const std::byte> frame) {
  take(fault_direction::in, link, copy_of(frame));
}

void fault_proxy::on_link_lost(link_id link, std::string_view why) {
  forget(link);
  listener_->on_link_lost(link, why);
}

}  // namespace troupe::transport
