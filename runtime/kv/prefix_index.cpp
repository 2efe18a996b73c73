#include "runtime/kv/prefix_index.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <xxhash.h>

namespace troupe {
namespace {

constexpr std::size_t block_tokens = kernels::kv_block_tokens;

}  // namespace

block_hash xxh3_128(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

prefix_index::prefix_index(block_pool& pool, std::string_view fingerprint, hash_function hash)
    : pool_(pool), fingerprint_(fingerprint), hash_(hash), entries_(pool.total()) {
  buckets_.assign(std::bit_ceil(std::max<std::size_t>(1, std::size_t{pool.total()} * 2)), none);
  pool_.on_evict([this](block_handle evicted) { erase(evicted.index); });
}

prefix_index::~prefix_index() {
  reset();
  pool_.on_evict(nullptr);
}

prefix_chain prefix_index::root(std::string_view tenant) const {
  // The length in front keeps ("ab", "c") and ("a", "bc") apart.
  const std::uint64_t length = fingerprint_.size();
  std::vector<std::byte> bytes(sizeof length + fingerprint_.size() + tenant.size());
  std::memcpy(bytes.data(), &length, sizeof length);
  const auto text = std::as_writable_bytes(std::span(bytes)).subspan(sizeof length);
  std::ranges::copy(std::as_bytes(std::span(fingerprint_)), text.begin());
  std::ranges::copy(std::as_bytes(std::span(tenant)), text.begin() + static_cast<std::ptrdiff_t>(fingerprint_.size()));
  return {.tenant = std::string(tenant), .hash = hash_(bytes), .last = std::nullopt, .broken = false};
}

prefix_match prefix_index::lookup(std::span<const token_id> tokens, std::string_view tenant, std::uint32_t max_tokens) {
  tokens = tokens.first(std::min<std::size_t>(tokens.size(), max_tokens));
  prefix_match match{.blocks = {}, .chain = root(tenant)};
  stats_.tokens_queried += tokens.size();
  for (; tokens.size() >= block_tokens; tokens = tokens.subspan(block_tokens)) {
    const block_token_ids ids = tokens.first<block_tokens>();
    const block_hash hash = child_hash(match.chain.hash, ids);
    const std::uint32_t found = find(hash);
    if (found == none) break;
    if (!continues(entries_[found], match.chain, ids)) {
      ++stats_.collisions;
      break;
    }
    const block_handle block{found, entries_[found].generation};
    pool_.retain(block);
    match.blocks.push_back(block);
    match.chain.hash = hash;
    match.chain.last = block;
    stats_.tokens_hit += block_tokens;
  }
  return match;
}

publish_result prefix_index::publish(prefix_chain& chain, block_token_ids tokens, block_handle block) {
  TROUPE_ASSERT(pool_.references(block) > 0, "only its holder may publish a block");
  TROUPE_ASSERT(!entries_[block.index].known, "a block is published once");
  if (chain.broken) return {block, publish_outcome::collided};
  if (chain.last) {
    TROUPE_ASSERT(pool_.references(*chain.last) > 0 && entries_[chain.last->index].known,
                  "who publishes a block holds the chain before it");
  }
  const block_hash hash = child_hash(chain.hash, tokens);
  const std::uint32_t found = find(hash);
  if (found != none && !continues(entries_[found], chain, tokens)) {
    ++stats_.collisions;
    chain.broken = true;
    return {block, publish_outcome::collided};
  }
  if (found != none && pool_.references(block) > 1) {
    chain.broken = true;
    return {block, publish_outcome::shared};
  }
  publish_result result{block, publish_outcome::published};
  if (found != none) {
    result = {{found, entries_[found].generation}, publish_outcome::already_known};
    pool_.retain(result.block);
    pool_.release(block);
  } else {
    insert(chain, hash, tokens, block);
    pool_.keep(block);
  }
  chain.hash = hash;
  chain.last = result.block;
  return result;
}

void prefix_index::reset() {
  while (const auto block = pool_.oldest_cached()) {
    erase(block->index);
    pool_.forget(*block);
  }
}

block_hash prefix_index::child_hash(const block_hash& parent, block_token_ids tokens) const {
  std::array<std::byte, sizeof parent + block_tokens * sizeof(token_id)> bytes;
  std::memcpy(bytes.data(), &parent, sizeof parent);
  std::memcpy(bytes.data() + sizeof parent, tokens.data(), tokens.size_bytes());
  return hash_(bytes);
}

// At most one entry has a hash: publish() refuses the second.
std::uint32_t prefix_index::find(const block_hash& hash) const {
  std::uint32_t index = buckets_[hash.low & (buckets_.size() - 1)];
  while (index != none && entries_[index].hash != hash)
    index = entries_[index].next_in_bucket;
  return index;
}

// Comparing the parent's identity compares everything before it, since the parent was found in the same way.
bool prefix_index::continues(const entry& candidate, const prefix_chain& chain, block_token_ids tokens) const {
  if (!std::ranges::equal(candidate.tokens, tokens)) return false;
  if (chain.last) return candidate.parent == chain.last->index;
  return candidate.parent == none && candidate.tenant == chain.tenant;
}

void prefix_index::insert(const prefix_chain& chain, const block_hash& hash, block_token_ids tokens,
                          block_handle block) {
  entry& e = entries_[block.index];
  e.known = true;
  e.generation = block.generation;
  e.hash = hash;
  std::ranges::copy(tokens, e.tokens.begin());
  e.parent = chain.last ? chain.last->index : none;
  e.n_children = 0;
  e.next_in_bucket = std::exchange(bucket_of(hash), block.index);
  if (chain.last)
    ++entries_[chain.last->index].n_children;
  else
    e.tenant = chain.tenant;
  ++n_entries_;
}

void prefix_index::erase(std::uint32_t index) {
  entry& e = entries_[index];
  TROUPE_ASSERT(e.known, "the pool keeps only blocks of the index");
  TROUPE_ASSERT(e.n_children == 0, "a chain's blocks are released last to first");
  std::uint32_t* link = &bucket_of(e.hash);
  while (*link != index)
    link = &entries_[*link].next_in_bucket;
  *link = e.next_in_bucket;
  if (e.parent != none) --entries_[e.parent].n_children;
  e.known = false;
  e.tenant.clear();
  --n_entries_;
}

result<> prefix_index::audit() const {
  const auto broken = [](std::string what) { return make_error(errc::internal, "Prefix index: " + std::move(what)); };
  std::vector<std::uint32_t> n_children(entries_.size(), 0);
  std::uint32_t n_known = 0, n_idle = 0;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const entry& e = entries_[i];
    if (!e.known) continue;
    ++n_known;
    const block_handle block{i, e.generation};
    if (!pool_.is_current(block)) return broken("an entry names a block that was given up.");
    if (pool_.references(block) == 0) ++n_idle;
    if (find(e.hash) != i) return broken("an entry is not found by its hash.");
    if (e.parent == none) continue;
    const entry& parent = entries_[e.parent];
    if (!parent.known) return broken("a block outlives the one before it.");
    if (pool_.references(block) > pool_.references({e.parent, parent.generation}))
      return broken("someone holds a block and not the one before it.");
    ++n_children[e.parent];
  }
  if (n_known != n_entries_) return broken("the count of entries is wrong.");
  if (n_idle != pool_.cached()) return broken("the pool keeps blocks that no entry names.");
  for (std::uint32_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].known && entries_[i].n_children != n_children[i]) return broken("a count of children is wrong.");
  return {};
}

}  // namespace troupe
