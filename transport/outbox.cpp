#include "transport/outbox.hpp"

#include <algorithm>
#include <utility>

namespace troupe::transport {

outbox::outcome outbox::push(std::span<const std::byte> message, bool may_wait, bool& first) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const std::size_t added = sizeof length + message.size();
  first = false;
  if (message.size() > max_message_bytes) return outcome::too_large;
  std::unique_lock lock(mutex_);
  if (may_wait) room_.wait(lock, [&] { return closed_ || bytes_ < limits_.soft_bytes; });
  if (closed_) return outcome::closed;
  if (bytes_ + added > limits_.hard_bytes) {
    // Nothing may be taken behind a message that was refused.
    lock.unlock();
    close();
    return outcome::overrun;
  }
  first = frames_.empty();
  bytes_ += added;
  const auto write = [&](wire::byte_buffer& frame, std::span<const std::byte> bytes) {
    frame.write(reinterpret_cast<const char*>(&length), sizeof length);
    frame.append(bytes);
  };
  if (message.size() > message_part_bytes) {
    while (!message.empty()) {
      const auto part = message.first(std::min(message.size(), message_part_bytes));
      write(add_frame(frame_type::message_part), part);
      message = message.subspan(part.size());
    }
    return outcome::queued;
  }
  const bool fits = !first && frames_.back().type == frame_type::messages &&
                    frames_.back().bytes.size() + added <= limits_.frame_bytes;
  write(fits ? frames_.back().bytes : add_frame(frame_type::messages), message);
  return outcome::queued;
}

wire::byte_buffer& outbox::add_frame(frame_type type) {
  auto& added = frames_.emplace_back();
  added.type = type;
  added.bytes.extend(frame_header_bytes);
  return added.bytes;
}

std::vector<unsent_frame> outbox::take() {
  std::vector<unsent_frame> taken;
  bool was_full = false;
  {
    std::lock_guard lock(mutex_);
    taken.swap(frames_);
    was_full = std::exchange(bytes_, 0) >= limits_.soft_bytes;
  }
  if (was_full) room_.notify_all();
  return taken;
}

void outbox::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    frames_.clear();
    bytes_ = 0;
  }
  room_.notify_all();
}

}  // namespace troupe::transport
