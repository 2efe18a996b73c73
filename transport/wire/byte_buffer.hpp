// A growing run of bytes that is written once and handed on: std::vector without the zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace troupe::wire {

class byte_buffer {
 public:
  byte_buffer() = default;
  byte_buffer(byte_buffer&& other) noexcept
      : memory_(std::move(other.memory_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  byte_buffer& operator=(byte_buffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  /// The name and types are those that msgpack::packer asks for.
  void write(const char* bytes, std::size_t n) {
    std::byte* const to = extend(n);
    if (n != 0) std::memcpy(to, bytes, n);
  }
  void append(std::span<const std::byte> bytes) { write(reinterpret_cast<const char*>(bytes.data()), bytes.size()); }

  /// n more bytes of unknown content; where they begin.
  std::byte* extend(std::size_t n) {
    if (capacity_ - size_ < n) grow(n);
    std::byte* const place = memory_.get() + size_;
    size_ += n;
    return place;
  }
  void truncate(std::size_t size) { size_ = std::min(size_, size); }
  void clear() { size_ = 0; }

  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  std::span<std::byte> bytes() { return {memory_.get(), size_}; }

 private:
  void grow(std::size_t n) {
    const std::size_t capacity = std::max({size_ + n, capacity_ * 2, std::size_t{256}});
    std::unique_ptr<std::byte[]> bigger(new std::byte[capacity]);
    if (size_ != 0) std::memcpy(bigger.get(), memory_.get(), size_);
    memory_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace troupe::wire
