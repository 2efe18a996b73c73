#include "allocation_counter.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> total_bytes{0};
std::atomic<std::uint64_t> total_count{0};

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  total_bytes.fetch_add(size, std::memory_order_relaxed);
  total_count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace troupe::test {

std::uint64_t allocated_bytes() {
  return total_bytes.load(std::memory_order_relaxed);
}

std::uint64_t n_allocations() {
  return total_count.load(std::memory_order_relaxed);
}

}  // namespace troupe::test
