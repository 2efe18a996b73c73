#include "runtime/model/aligned_buffer.hpp"

#include <string>
#include <utility>

#include <sys/mman.h>

namespace troupe {

result<aligned_buffer> aligned_buffer::create(std::size_t n_bytes) {
  aligned_buffer buffer;
  if (n_bytes == 0) return buffer;
  void* memory = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return make_error(errc::overloaded, "The system has no " + std::to_string(n_bytes) + " bytes of memory to give.");
  madvise(memory, n_bytes, MADV_HUGEPAGE);  // a wish: without huge pages it is slower, not wrong
  buffer.data_ = static_cast<std::byte*>(memory);
  buffer.size_ = n_bytes;
  return buffer;
}

aligned_buffer::aligned_buffer(aligned_buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

aligned_buffer& aligned_buffer::operator=(aligned_buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

aligned_buffer::~aligned_buffer() {
  if (data_) munmap(data_, size_);
}

}  // namespace troupe
