// N bytes that nobody else may learn: wiped when they go out of scope or are moved from, and copied only where the code
// says clone().
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace troupe::transport {

/// Overwrites with zeros, in a way that the optimiser may not remove.
void wipe(std::span<std::byte> bytes);

template <std::size_t N>
class secret_bytes {
 public:
  secret_bytes() = default;
  explicit secret_bytes(std::span<const std::byte, N> bytes) { std::ranges::copy(bytes, bytes_.begin()); }
  secret_bytes(const secret_bytes&) = delete;
  secret_bytes& operator=(const secret_bytes&) = delete;
  secret_bytes(secret_bytes&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  secret_bytes& operator=(secret_bytes&& other) noexcept {
    if (this == &other) return *this;
    bytes_ = other.bytes_;
    other.wipe();
    return *this;
  }
  ~secret_bytes() { wipe(); }

  secret_bytes clone() const { return secret_bytes(bytes()); }
  std::span<const std::byte, N> bytes() const { return bytes_; }
  std::span<std::byte, N> writable() { return bytes_; }
  void wipe() { transport::wipe(bytes_); }

 private:
  std::array<std::byte, N> bytes_{};
};

}  // namespace troupe::transport
