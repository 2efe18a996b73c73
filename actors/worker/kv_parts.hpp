// How blocks of K and V are cut into the parts of a ticket: some layers of a block each, so that they can leave while
// the later layers are still computed, and no smaller than what a transfer is worth. Part p of a ticket is the p-th
// piece of its blocks, in order.
#pragma once

#include "runtime/engine/kv_transfer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// What an engine says of its K and V; it stays the same as long as the engine lives.
struct kv_identity {
  kv_fingerprint fingerprint;
  kv_geometry geometry;
};

class kv_parts {
 public:
  kv_parts() = default;
  kv_parts(const kv_geometry& geometry, std::uint32_t layers_per_part)
      : n_layers_(geometry.n_layers), layers_per_part_(layers_per_part), layer_bytes_(geometry.layer_bytes) {}
  /// Parts of at least so many bytes, where a block has as many.
  static kv_parts of_at_least(const kv_geometry& geometry, std::size_t bytes) {
    const auto wanted = static_cast<std::uint32_t>((bytes + geometry.layer_bytes - 1) / geometry.layer_bytes);
    return {geometry, std::clamp(wanted, 1u, geometry.n_layers)};
  }

  std::uint32_t layers_per_part() const { return layers_per_part_; }
  std::uint32_t per_block() const { return (n_layers_ + layers_per_part_ - 1) / layers_per_part_; }
  /// Parts of a block that are whole when its first layers are.
  std::uint32_t within(std::uint32_t n_layers) const {
    return n_layers >= n_layers_ ? per_block() : n_layers / layers_per_part_;
  }

  /// The parts [first, last) of each block, and nothing for its others.
  template <class Byte>
  std::vector<std::span<Byte>> cut(std::span<const std::span<Byte>> blocks, std::uint32_t first,
                                   std::uint32_t last) const {
    const std::size_t part_bytes = layers_per_part_ * layer_bytes_;
    std::vector<std::span<Byte>> parts(blocks.size() * per_block());
    for (std::size_t b = 0; b < blocks.size(); ++b)
      for (std::uint32_t p = first; p < last; ++p)
        parts[b * per_block() + p] =
            blocks[b].subspan(p * part_bytes, std::min(part_bytes, blocks[b].size() - p * part_bytes));
    return parts;
  }
  template <class Byte>
  std::vector<std::span<Byte>> cut(std::span<const std::span<Byte>> blocks) const {
    return cut(blocks, 0, per_block());
  }

 private:
  std::uint32_t n_layers_ = 1;
  std::uint32_t layers_per_part_ = 1;
  std::size_t layer_bytes_ = 0;
};

}  // namespace troupe
