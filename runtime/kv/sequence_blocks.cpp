#include "runtime/kv/sequence_blocks.hpp"

#include "base/assert.hpp"

#include <utility>

namespace troupe {
namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

prefix_chain beginning(const prefix_index* index, std::string_view tenant) {
  return index != nullptr ? index->root(tenant) : prefix_chain{};
}

}  // namespace

sequence_blocks::sequence_blocks(block_pool& pool, prefix_index* index, std::string_view tenant)
    : pool_(pool), index_(index), chain_(beginning(index, tenant)) {}

sequence_blocks::sequence_blocks(sequence_blocks&& other) noexcept
    : pool_(other.pool_),
      index_(other.index_),
      blocks_(std::exchange(other.blocks_, {})),
      n_published_(std::exchange(other.n_published_, 0)),
      chain_(std::move(other.chain_)) {}

sequence_blocks::~sequence_blocks() {
  release();
}

std::uint32_t sequence_blocks::adopt_prefix(std::span<const token_id> tokens, std::uint32_t max_tokens) {
  TROUPE_ASSERT(blocks_.empty(), "a beginning is adopted before any block is held");
  if (index_ == nullptr) return 0;
  prefix_match match = index_->lookup(tokens, chain_.tenant, max_tokens);
  blocks_ = std::move(match.blocks);
  chain_ = std::move(match.chain);
  n_published_ = size();
  return size() * block_tokens;
}

bool sequence_blocks::reserve(std::uint32_t n_tokens) {
  const std::uint32_t n_before = size();
  const std::uint32_t n_wanted = n_tokens / block_tokens + (n_tokens % block_tokens != 0);
  if (n_wanted <= n_before) return true;
  if (n_wanted - n_before > pool_.free()) return false;
  blocks_.reserve(n_wanted);
  while (size() < n_wanted) {
    const auto block = pool_.allocate();
    if (!block) {
      for (; size() > n_before; blocks_.pop_back())
        pool_.release(blocks_.back());
      return false;
    }
    blocks_.push_back(*block);
  }
  return true;
}

void sequence_blocks::commit(std::span<const token_id> tokens, std::uint32_t n_computed) {
  TROUPE_ASSERT(n_computed <= tokens.size(), "every computed position has its token");
  TROUPE_ASSERT(n_computed <= std::size_t{size()} * block_tokens, "every computed position has its block");
  if (index_ == nullptr) return;
  for (; n_published_ < n_computed / block_tokens; ++n_published_) {
    const auto ids = tokens.subspan(std::size_t{n_published_} * block_tokens).first<block_tokens>();
    blocks_[n_published_] = index_->publish(chain_, ids, blocks_[n_published_]).block;
  }
}

std::optional<block_handle> sequence_blocks::replace(std::uint32_t index) {
  TROUPE_ASSERT(index >= n_published_ && index < size(), "a block that the index has seen stays");
  const auto fresh = pool_.allocate();
  if (fresh) pool_.release(std::exchange(blocks_[index], *fresh));
  return fresh;
}

void sequence_blocks::release() {
  for (; !blocks_.empty(); blocks_.pop_back())
    pool_.release(blocks_.back());
  n_published_ = 0;
  if (index_ != nullptr && chain_.last) chain_ = index_->root(chain_.tenant);
  chain_.broken = false;
}

}  // namespace troupe
