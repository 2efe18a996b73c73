// Who holds which KV block: a fixed number of blocks, reference-counted, with a generation that forbids stale handles
// (paged KV as in vLLM, Kwon et al., SOSP 2023). It counts; the bytes are in kv_storage, the meaning in prefix_index.
//
//   free list --allocate--> used --release--> free list            content forgotten, generation moves on
//       ^                    ^ |
//       |                retain release, if kept
//       |                    | v
//       +---evict/forget--- cached                                  nobody refers to it, content still good
//
// Free blocks are handed out before cached ones; of the cached, the one released longest ago goes first. A sequence
// releases its blocks last to first, so of a chain the leaf is always evicted before its parent.
//
// Every call is O(1) and allocates nothing. Not thread-safe. Invariant I5: free + used = total; cached is part of free.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace troupe {

/// One use of one block. Using a handle after its block was given up is a programmer's error, and asserted.
struct block_handle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const block_handle&, const block_handle&) = default;
};

class block_pool {
 public:
  explicit block_pool(std::uint32_t n_blocks);
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;

  /// A block with one reference and unknown content; nullopt when every block is used. May evict a cached block.
  std::optional<block_handle> allocate();
  /// One more reference. A cached block is used again by this.
  void retain(block_handle block);
  /// One reference less. The last one frees the block, or leaves it cached if it is kept.
  void release(block_handle block);

  /// The content of a used block is worth keeping once nobody refers to it.
  void keep(block_handle block);
  /// Undoes keep(); a cached block becomes free at once. The observer is not told.
  void forget(block_handle block);
  /// Told of each kept block whose content allocate() is about to give away.
  void on_evict(std::function<void(block_handle)> observer);

  /// The cached block that would be evicted next.
  std::optional<block_handle> oldest_cached() const;

  bool is_current(block_handle block) const;
  std::uint32_t references(block_handle block) const;
  std::uint32_t total() const { return static_cast<std::uint32_t>(blocks_.size()); }
  std::uint32_t free() const { return n_empty_ + n_cached_; }
  std::uint32_t cached() const { return n_cached_; }
  std::uint32_t used() const { return n_used_; }

  /// Counts everything anew, in O(total): internal error with a sentence for the first broken invariant.
  result<> audit() const;

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  struct block {
    std::uint32_t generation = 0;
    std::uint32_t references = 0;
    bool kept = false;
    // Neighbours in the list of cached blocks; `newer` also links the free list.
    std::uint32_t older = none;
    std::uint32_t newer = none;
  };

  block& at(block_handle handle);
  const block& at(block_handle handle) const;
  void push_empty(std::uint32_t index);
  void append_cached(std::uint32_t index);
  void unlink_cached(std::uint32_t index);

  std::vector<block> blocks_;
  std::uint32_t first_empty_ = none;  // last freed, first reused: its memory is touched already
  std::uint32_t oldest_ = none;
  std::uint32_t newest_ = none;
  std::uint32_t n_empty_ = 0;
  std::uint32_t n_cached_ = 0;
  std::uint32_t n_used_ = 0;
  std::function<void(block_handle)> on_evict_;
};

}  // namespace troupe
