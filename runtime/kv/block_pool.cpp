#include "runtime/kv/block_pool.hpp"

#include "base/assert.hpp"
#include "base/failpoint.hpp"

#include <string>
#include <utility>

namespace troupe {

block_pool::block_pool(std::uint32_t n_blocks) : blocks_(n_blocks) {
  TROUPE_ASSERT(n_blocks != none, "the largest number stands for no block");
  for (std::uint32_t i = n_blocks; i-- > 0;)
    push_empty(i);  // so that block 0 goes first
}

std::optional<block_handle> block_pool::allocate() {
  if (failpoint("kv.allocate")) return std::nullopt;
  if (first_empty_ == none) {
    const auto victim = oldest_cached();
    if (!victim) return std::nullopt;
    if (on_evict_) on_evict_(*victim);
    forget(*victim);
  }
  const std::uint32_t index = first_empty_;
  block& b = blocks_[index];
  first_empty_ = std::exchange(b.newer, none);
  --n_empty_;
  b.references = 1;
  ++n_used_;
  return block_handle{index, b.generation};
}

void block_pool::retain(block_handle handle) {
  block& b = at(handle);
  if (b.references == 0) {
    TROUPE_ASSERT(b.kept, "a free block has no content to refer to");
    unlink_cached(handle.index);
    ++n_used_;
  }
  ++b.references;
  TROUPE_ASSERT(b.references != 0, "the count of references wrapped");
}

void block_pool::release(block_handle handle) {
  block& b = at(handle);
  TROUPE_ASSERT(b.references > 0, "a block is released more often than it was retained");
  if (--b.references > 0) return;
  --n_used_;
  if (b.kept)
    append_cached(handle.index);
  else
    push_empty(handle.index);
}

void block_pool::keep(block_handle handle) {
  block& b = at(handle);
  TROUPE_ASSERT(b.references > 0, "only its holder knows what a block contains");
  b.kept = true;
}

void block_pool::forget(block_handle handle) {
  block& b = at(handle);
  TROUPE_ASSERT(b.kept, "only a kept block can be forgotten");
  b.kept = false;
  if (b.references > 0) return;
  unlink_cached(handle.index);
  push_empty(handle.index);
}

void block_pool::on_evict(std::function<void(block_handle)> observer) {
  on_evict_ = std::move(observer);
}

std::optional<block_handle> block_pool::oldest_cached() const {
  if (oldest_ == none) return std::nullopt;
  return block_handle{oldest_, blocks_[oldest_].generation};
}

bool block_pool::is_current(block_handle handle) const {
  if (handle.index >= blocks_.size()) return false;
  const block& b = blocks_[handle.index];
  return b.generation == handle.generation && (b.references > 0 || b.kept);
}

std::uint32_t block_pool::references(block_handle handle) const {
  return at(handle).references;
}

block_pool::block& block_pool::at(block_handle handle) {
  TROUPE_ASSERT(is_current(handle), "the handle of a block that was given up");
  return blocks_[handle.index];
}

const block_pool::block& block_pool::at(block_handle handle) const {
  TROUPE_ASSERT(is_current(handle), "the handle of a block that was given up");
  return blocks_[handle.index];
}

// The generation moves on when the content is given up, so that an old handle is stale from that moment.
void block_pool::push_empty(std::uint32_t index) {
  block& b = blocks_[index];
  ++b.generation;
  b.newer = std::exchange(first_empty_, index);
  ++n_empty_;
}

void block_pool::append_cached(std::uint32_t index) {
  block& b = blocks_[index];
  b.older = newest_;
  b.newer = none;
  (newest_ == none ? oldest_ : blocks_[newest_].newer) = index;
  newest_ = index;
  ++n_cached_;
}

void block_pool::unlink_cached(std::uint32_t index) {
  block& b = blocks_[index];
  (b.older == none ? oldest_ : blocks_[b.older].newer) = b.newer;
  (b.newer == none ? newest_ : blocks_[b.newer].older) = b.older;
  b.older = b.newer = none;
  --n_cached_;
}

result<> block_pool::audit() const {
  const auto broken = [](std::string what) { return make_error(errc::internal, "Block pool: " + std::move(what)); };
  std::uint32_t n_used = 0, n_kept_idle = 0;
  for (const block& b : blocks_) {
    if (b.references > 0)
      ++n_used;
    else if (b.kept)
      ++n_kept_idle;
  }
  if (n_used != n_used_) return broken("the count of used blocks is wrong.");
  if (n_kept_idle != n_cached_) return broken("the count of cached blocks is wrong.");
  if (free() + used() != total()) return broken("free and used blocks do not add up to all.");

  std::uint32_t n_empty = 0, n_cached = 0;
  for (std::uint32_t i = first_empty_; i != none; i = blocks_[i].newer) {
    if (blocks_[i].references > 0 || blocks_[i].kept) return broken("a block in use is in the free list.");
    if (++n_empty > total()) return broken("the free list is a circle.");
  }
  if (n_empty != n_empty_) return broken("the free list has lost blocks.");
  for (std::uint32_t i = oldest_, before = none; i != none; before = i, i = blocks_[i].newer) {
    if (blocks_[i].references > 0 || !blocks_[i].kept)
      return broken("a block that is not cached is in the cached list.");
    if (blocks_[i].older != before) return broken("the cached list is broken.");
    if (++n_cached > total()) return broken("the cached list is a circle.");
  }
  if (n_cached != n_cached_) return broken("the cached list has lost blocks.");
  return {};
}

}  // namespace troupe
