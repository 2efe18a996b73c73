#include "runtime/kv/kv_storage.hpp"

#include "base/assert.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <sys/mman.h>

namespace troupe {
namespace {

constexpr std::size_t alignment = 64;

std::size_t block_stride(const kernels::kv_layout& layout) {
  return (layout.block_bytes() + alignment - 1) / alignment * alignment;
}

// What a layout, layers and blocks multiply to, when that is something to map at all.
bool total_size(const kernels::kv_layout& layout, std::uint32_t n_layers, std::uint32_t n_blocks, std::size_t& bytes) {
  std::size_t elements = 0;
  if (__builtin_mul_overflow(std::size_t{layout.n_kv_heads}, std::size_t{layout.head_dim}, &elements)) return false;
  if (elements == 0 || elements > (std::size_t{1} << 40)) return false;
  if (__builtin_mul_overflow(block_stride(layout) * 2, std::size_t{n_layers}, &bytes)) return false;
  if (__builtin_mul_overflow(bytes, std::size_t{n_blocks}, &bytes)) return false;
  return bytes != 0 && bytes <= static_cast<std::size_t>(PTRDIFF_MAX);
}

}  // namespace

result<kv_storage> kv_storage::create(const kernels::kv_layout& layout, std::uint32_t n_layers,
                                      std::uint32_t n_blocks) {
  std::size_t bytes = 0;
  if (!total_size(layout, n_layers, n_blocks, bytes))
    return make_error(
        errc::invalid_argument,
        "KV memory needs at least one head, dimension, layer and block, and a size that can be addressed.");
  // NORESERVE: the budget is a limit, not a promise to use it; pages are counted as they are touched.
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return make_error(errc::overloaded, "No address space for " + std::to_string(bytes) +
                                            " bytes of KV memory: " + std::strerror(errno) + ". Use fewer blocks.");
  madvise(base, bytes, MADV_HUGEPAGE);  // a wish; blocks come from one end, so that at most one page is used in part
  return kv_storage(layout, n_layers, n_blocks, static_cast<std::byte*>(base));
}

std::size_t kv_storage::bytes_per_block(const kernels::kv_layout& layout, std::uint32_t n_layers) {
  return std::size_t{n_layers} * 2 * block_stride(layout);
}

kv_storage::kv_storage(const kernels::kv_layout& layout, std::uint32_t n_layers, std::uint32_t n_blocks,
                       std::byte* base)
    : layout_(layout), n_layers_(n_layers), n_blocks_(n_blocks), stride_(block_stride(layout)), base_(base) {}

kv_storage::kv_storage(kv_storage&& other) noexcept
    : layout_(other.layout_),
      n_layers_(other.n_layers_),
      n_blocks_(std::exchange(other.n_blocks_, 0)),
      stride_(other.stride_),
      base_(std::exchange(other.base_, nullptr)) {}

kv_storage& kv_storage::operator=(kv_storage&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  layout_ = other.layout_;
  n_layers_ = other.n_layers_;
  n_blocks_ = std::exchange(other.n_blocks_, 0);
  stride_ = other.stride_;
  base_ = std::exchange(other.base_, nullptr);
  return *this;
}

kv_storage::~kv_storage() {
  unmap();
}

void kv_storage::unmap() {
  if (base_ != nullptr) munmap(base_, total_bytes());
}

}  // namespace troupe
