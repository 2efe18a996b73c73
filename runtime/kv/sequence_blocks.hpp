// One sequence's block table: adopts the blocks of a known beginning, grows, publishes what is computed, gives
// everything back. It keeps the promises the prefix index asks for: blocks are held from the beginning on and released
// last to first.
#pragma once

#include "runtime/kv/block_pool.hpp"
#include "runtime/kv/prefix_index.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class sequence_blocks {
 public:
  /// The pool and the index (nullptr: no prefix caching) must outlive it.
  sequence_blocks(block_pool& pool, prefix_index* index, std::string_view tenant);
  sequence_blocks(sequence_blocks&& other) noexcept;
  sequence_blocks& operator=(sequence_blocks&&) = delete;
  sequence_blocks(const sequence_blocks&) = delete;
  ~sequence_blocks();

  /// For a table without blocks: takes the longest known beginning, at most max_tokens (the last token must be
  /// computed, since its logits are wanted: pass tokens.size() - 1 at most). Returns its tokens, a multiple of the
  /// block size.
  std::uint32_t adopt_prefix(std::span<const token_id> tokens, std::uint32_t max_tokens);

  /// Makes room for positions [0, n_tokens). All or nothing: false, and unchanged, when the pool has too few free
  /// blocks.
  bool reserve(std::uint32_t n_tokens);

  /// Positions [0, n_computed) of `tokens` have their K and V: publishes the blocks that are full now. A block may be
  /// exchanged for an equal one that was published first, so read blocks() anew. Cheap when no block was filled.
  void commit(std::span<const token_id> tokens, std::uint32_t n_computed);

  /// Goes on in a fresh block instead of this one, which is not full and which others read; the caller copies the
  /// content. nullopt, and unchanged, when no block is free.
  std::optional<block_handle> replace(std::uint32_t index);

  /// Gives every block back: the end of the sequence, or its preemption. The table can be used again.
  void release();

  std::span<const block_handle> blocks() const { return blocks_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(blocks_.size()); }

 private:
  block_pool& pool_;
  prefix_index* index_;
  std::vector<block_handle> blocks_;
  std::uint32_t n_published_ = 0;  // blocks at the front that the index has seen
  prefix_chain chain_;
};

}  // namespace troupe
