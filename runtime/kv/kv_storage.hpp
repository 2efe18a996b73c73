// The memory of the KV blocks, as kernels::kv_layout describes a block of one layer:
//
//   (n_blocks, n_layers, {K, V}, block bytes)
//
// The block is the outermost index, so that one block of all layers is contiguous: blocks are what is shared, moved
// between machines and evicted, and each is then one copy of one range. Attention reads one layer at a time, but within
// a layer a sequence's blocks are scattered in any order of indices, so it loses nothing.
//
// Anonymous memory, touched lazily: a block that was never written costs address space only. Every K and V block is
// 64-byte aligned. Blocks start as zeros and keep what was last written to them.
#pragma once

#include "base/result.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

class kv_storage {
 public:
  /// Errors: invalid_argument (an empty layout, no layer, no block, a size past the address space), overloaded (no
  /// memory).
  static result<kv_storage> create(const kernels::kv_layout& layout, std::uint32_t n_layers, std::uint32_t n_blocks);

  /// Bytes of one block of all layers: what a budget is divided by.
  static std::size_t bytes_per_block(const kernels::kv_layout& layout, std::uint32_t n_layers);

  kv_storage(kv_storage&& other) noexcept;
  kv_storage& operator=(kv_storage&& other) noexcept;
  ~kv_storage();

  std::byte* k_block(std::uint32_t layer, std::uint32_t index) { return at(layer, index); }
  std::byte* v_block(std::uint32_t layer, std::uint32_t index) { return at(layer, index) + stride_; }
  const std::byte* k_block(std::uint32_t layer, std::uint32_t index) const { return at(layer, index); }
  const std::byte* v_block(std::uint32_t layer, std::uint32_t index) const { return at(layer, index) + stride_; }

  /// One block, all layers, K and V.
  std::span<std::byte> block(std::uint32_t index) { return {at(0, index), block_bytes()}; }
  std::span<const std::byte> block(std::uint32_t index) const { return {at(0, index), block_bytes()}; }

  const kernels::kv_layout& layout() const { return layout_; }
  std::uint32_t n_layers() const { return n_layers_; }
  std::uint32_t n_blocks() const { return n_blocks_; }
  std::size_t block_bytes() const { return std::size_t{n_layers_} * 2 * stride_; }
  std::size_t total_bytes() const { return n_blocks_ * block_bytes(); }

 private:
  kv_storage(const kernels::kv_layout& layout, std::uint32_t n_layers, std::uint32_t n_blocks, std::byte* base);
  std::byte* at(std::uint32_t layer, std::uint32_t index) const {
    return base_ + (std::size_t{index} * n_layers_ + layer) * 2 * stride_;
  }
  void unmap();

  kernels::kv_layout layout_;
  std::uint32_t n_layers_ = 0;
  std::uint32_t n_blocks_ = 0;
  std::size_t stride_ = 0;  // bytes from K to V of a layer: block_bytes() of the layout, rounded up to 64
  std::byte* base_ = nullptr;
};

}  // namespace troupe
