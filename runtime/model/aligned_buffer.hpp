// A block of zeroed memory for weights and activations: 64-byte aligned, on huge pages where the system gives them
// (weights are streamed once a token; with 4 KiB pages the address translation shows). Pages that are never touched
// cost nothing.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <span>

namespace troupe {

class aligned_buffer {
 public:
  aligned_buffer() = default;
  /// Errors: overloaded, when the system has no such memory.
  static result<aligned_buffer> create(std::size_t n_bytes);
  aligned_buffer(aligned_buffer&& other) noexcept;
  aligned_buffer& operator=(aligned_buffer&& other) noexcept;
  ~aligned_buffer();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// n rounded up to a multiple of 64.
constexpr std::size_t align_64(std::size_t n) {
  return (n + 63) / 64 * 64;
}

}  // namespace troupe
