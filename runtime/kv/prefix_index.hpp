// Which blocks hold the KV of which beginnings. A block of 16 tokens is known by a chained hash: xxh3-128 of (its
// parent's hash, its token ids), the first parent being the root of (model fingerprint, tenant salt) - vLLM's automatic
// prefix caching with a salt, so that tenants never share a block and cannot time each other's prompts.
//
// A hash only finds the candidate. It is used when its token ids, its parent block and, at the root, its tenant are
// equal (I7): a collision costs a recomputation and never gives wrong KV.
//
// The index owns no reference. It marks its blocks as kept in the pool, which caches them when nobody refers to them
// and evicts them when it needs room; so there are never more entries than blocks. Whoever holds a block of a chain
// holds all blocks before it and releases them last to first, hence leaves are evicted before their parents.
// sequence_blocks does all this.
//
// lookup and publish are O(tokens) and allocate nothing but what they return. Not thread-safe.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "kernels/types.hpp"
#include "runtime/kv/block_pool.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct block_hash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const block_hash&, const block_hash&) = default;
};

/// The hash the index is built on. Replaceable, so that a test can make everything collide.
using hash_function = block_hash (*)(std::span<const std::byte> bytes);
block_hash xxh3_128(std::span<const std::byte> bytes);

using block_token_ids = std::span<const token_id, kernels::kv_block_tokens>;

/// How far a sequence's beginning is known to the index.
struct prefix_chain {
  std::string tenant;
  block_hash hash;                   // of all blocks so far; the root's at first
  std::optional<block_handle> last;  // the block that ends it; none at the root
  bool broken = false;               // it goes on in private blocks: nothing after it can be published
};

struct prefix_match {
  std::vector<block_handle> blocks;  // from the beginning on, one reference each for the caller
  prefix_chain chain;                // ends with the last of them
};

enum class publish_outcome : std::uint8_t {
  published,      // the caller's block is the known one now
  already_known,  // another block with the same content is; the caller's reference was moved to it
  collided,       // the hash is taken by other content: the block stays private, the chain is broken
  shared          // equal content is known, but others read the caller's block: as after a collision
};

struct publish_result {
  block_handle block;  // what the caller holds now instead of the block it gave
  publish_outcome outcome;
};

struct prefix_stats {
  std::uint64_t tokens_queried = 0;
  std::uint64_t tokens_hit = 0;
  std::uint64_t collisions = 0;
};

class prefix_index {
 public:
  /// The pool must outlive the index, and have no other index. `fingerprint` names everything that KV depends on
  /// besides tokens: model file, KV type, instruction set.
  prefix_index(block_pool& pool, std::string_view fingerprint, hash_function hash = xxh3_128);
  ~prefix_index();  // forgets what nobody refers to
  prefix_index(const prefix_index&) = delete;
  prefix_index& operator=(const prefix_index&) = delete;

  prefix_chain root(std::string_view tenant) const;

  /// The longest known chain of full blocks among the first max_tokens tokens. Counts `tokens` as queried: all, or
  /// max_tokens.
  prefix_match lookup(std::span<const token_id> tokens, std::string_view tenant, std::uint32_t max_tokens);

  /// Makes a computed block known as the one after `chain`, and moves the chain past it. The caller holds the chain's
  /// blocks and one reference to `block`, which it exchanges for one to the block returned. Where that is another
  /// block, equal content was published first: KV is a function of the tokens (rule 5), so the caller goes on with it.
  /// A block that has further references is not exchanged: who else has the chain up to it would then lack the parent
  /// of the blocks behind it.
  publish_result publish(prefix_chain& chain, block_token_ids tokens, block_handle block);

  /// Forgets every block that nobody refers to.
  void reset();

  std::uint32_t size() const { return n_entries_; }
  const prefix_stats& stats() const { return stats_; }

  /// In O(blocks): internal error with a sentence for the first broken invariant.
  result<> audit() const;

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  // One for each block of the pool; the table below links those in use.
  struct entry {
    bool known = false;
    std::uint32_t generation = 0;
    block_hash hash;
    std::array<token_id, kernels::kv_block_tokens> tokens{};
    std::uint32_t parent = none;  // block index
    std::uint32_t n_children = 0;
    std::uint32_t next_in_bucket = none;
    std::string tenant;  // of entries without a parent
  };

  block_hash child_hash(const block_hash& parent, block_token_ids tokens) const;
  std::uint32_t find(const block_hash& hash) const;
  bool continues(const entry& candidate, const prefix_chain& chain, block_token_ids tokens) const;
  void insert(const prefix_chain& chain, const block_hash& hash, block_token_ids tokens, block_handle block);
  void erase(std::uint32_t index);
  std::uint32_t& bucket_of(const block_hash& hash) { return buckets_[hash.low & (buckets_.size() - 1)]; }

  block_pool& pool_;
  std::string fingerprint_;
  hash_function hash_;
  std::vector<entry> entries_;          // by block index
  std::vector<std::uint32_t> buckets_;  // first block index of each bucket; a power of two, at least twice the blocks
  std::uint32_t n_entries_ = 0;
  prefix_stats stats_;
};

}  // namespace troupe
