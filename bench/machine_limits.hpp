// What this machine could do at most: bytes read from memory and products of 8-bit numbers, measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace troupe::bench {

/// Memory to read from, larger than the last-level cache and touched.
class limit_memory {
 public:
  explicit limit_memory(std::size_t bytes);
  const std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct release {
    void operator()(std::byte* p) const;
  };
  std::size_t size_;
  std::unique_ptr<std::byte, release> bytes_;
};

/// GB/s that `threads` threads read together, once over the memory. 0 on a processor this is not written for.
double read_bandwidth(const limit_memory& memory, std::uint32_t threads);

/// Gop/s (a multiplication and an addition are two) of 8-bit products in the registers of `threads` threads, with the
/// instructions that the kernel table of this name multiplies with: vpdpbusd of 512 bits for "avx512", else maddubs and
/// the 16-bit addition that has to follow it. 0 on a processor this is not written for.
double byte_product_peak(std::uint32_t threads, std::string_view isa);

}  // namespace troupe::bench
