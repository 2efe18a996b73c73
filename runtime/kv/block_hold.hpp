// Keeps the blocks of a sequence's beginning in place, however the sequence fares: one more reference to each, from the
// first block on and released last to first, as the prefix index asks of everyone.
#pragma once

#include "runtime/kv/block_pool.hpp"

#include <span>
#include <vector>

namespace troupe {

class block_hold {
 public:
  /// The blocks are used by somebody; the pool must outlive the hold.
  block_hold(block_pool& pool, std::span<const block_handle> blocks);
  block_hold(block_hold&& other) noexcept;
  block_hold& operator=(block_hold&&) = delete;
  block_hold(const block_hold&) = delete;
  block_hold& operator=(const block_hold&) = delete;
  ~block_hold();

  std::span<const block_handle> blocks() const { return blocks_; }

 private:
  block_pool& pool_;
  std::vector<block_handle> blocks_;
};

}  // namespace troupe
