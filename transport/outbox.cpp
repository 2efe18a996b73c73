#include "transport/outbox.hpp"

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
  if (first || frames_.back().size() + added > limits_.frame_bytes) frames_.emplace_back().extend(frame_header_bytes);
  auto& frame = frames_.back();
  frame.write(reinterpret_cast<const char*>(&length), sizeof length);
  frame.append(message);
  bytes_ += added;
  return outcome::queued;
}

std::vector<wire::byte_buffer> outbox::take() {
  std::vector<wire::byte_buffer> taken;
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
