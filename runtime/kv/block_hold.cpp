#include "runtime/kv/block_hold.hpp"

#include <utility>

namespace troupe {

block_hold::block_hold(block_pool& pool, std::span<const block_handle> blocks)
    : pool_(pool), blocks_(blocks.begin(), blocks.end()) {
  for (const block_handle block : blocks_)
    pool_.retain(block);
}

block_hold::block_hold(block_hold&& other) noexcept : pool_(other.pool_), blocks_(std::exchange(other.blocks_, {})) {}

block_hold::~block_hold() {
  for (; !blocks_.empty(); blocks_.pop_back())
    pool_.release(blocks_.back());
}

}  // namespace troupe
