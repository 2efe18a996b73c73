// The index against a naive map from whole beginnings to blocks, with sequences that come, grow and go at random; and
// with hashes that are meant to collide.
#include "runtime/kv/prefix_index.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "runtime/kv/sequence_blocks.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>

using namespace troupe;

namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

// Few distinct blocks, so that beginnings are shared often: token k of a block of kind x is 100 x + k.
void append_block(std::vector<token_id>& tokens, std::uint64_t kind) {
  for (std::uint32_t k = 0; k < block_tokens; ++k)
    tokens.push_back(static_cast<token_id>(100 * kind + k));
}

std::vector<token_id> random_tokens(random_stream& random, std::uint64_t most_blocks) {
  std::vector<token_id> tokens;
  for (std::uint64_t i = random.below(most_blocks + 1); i > 0; --i)
    append_block(tokens, random.below(2));
  for (std::uint64_t i = random.below(block_tokens); i > 0; --i)
    tokens.push_back(7);
  return tokens;
}

block_token_ids ids_of(const std::vector<token_id>& tokens, std::size_t block) {
  return std::span(tokens).subspan(block * block_tokens).first<block_tokens>();
}

// A stand-in for KV: what a block's content is a function of.
using content = std::pair<std::string, std::vector<token_id>>;  // tenant, all tokens up to the block's end

content content_of(const std::string& tenant, const std::vector<token_id>& tokens, std::size_t block) {
  return {tenant, {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>((block + 1) * block_tokens)}};
}

block_hash two_bit_hash(std::span<const std::byte> bytes) {
  return {xxh3_128(bytes).low & 3, 0};
}
block_hash constant_hash(std::span<const std::byte>) {
  return {1, 2};
}

struct live_sequence {
  std::string tenant;
  std::vector<token_id> tokens;
  std::unique_ptr<sequence_blocks> table;
  std::uint32_t n_computed = 0;
};

// Everything a test drives, with the content each block was written with.
struct world {
  world(std::uint32_t n_blocks, hash_function hash) : pool(n_blocks), index(pool, "model", hash), written(n_blocks) {}
  block_pool pool;
  prefix_index index;
  std::vector<content> written;  // by block index
  std::vector<live_sequence> sequences;

  // As an engine does: adopt, reserve, compute (write), commit.
  bool start(const std::string& tenant, std::vector<token_id> tokens) {
    live_sequence s{tenant, std::move(tokens), std::make_unique<sequence_blocks>(pool, &index, tenant), 0};
    const auto n_tokens = static_cast<std::uint32_t>(s.tokens.size());
    s.n_computed = s.table->adopt_prefix(s.tokens, n_tokens);
    check_content(s);
    if (!s.table->reserve(n_tokens)) return false;
    sequences.push_back(std::move(s));
    return true;
  }
  void compute(live_sequence& s, std::uint32_t n_tokens) {
    const std::uint32_t end = std::min(s.n_computed + n_tokens, static_cast<std::uint32_t>(s.tokens.size()));
    for (std::uint32_t block = s.n_computed / block_tokens; (block + 1) * block_tokens <= end; ++block)
      written[s.table->blocks()[block].index] = content_of(s.tenant, s.tokens, block);
    s.n_computed = end;
    s.table->commit(s.tokens, end);
    check_content(s);
  }
  // I7: a block in a sequence's table holds what this very sequence would have computed.
  void check_content(const live_sequence& s) const {
    for (std::uint32_t block = 0; (block + 1) * block_tokens <= s.n_computed; ++block)
      REQUIRE(written[s.table->blocks()[block].index] == content_of(s.tenant, s.tokens, block));
  }
};

void run_randomly(std::uint64_t seed, hash_function hash) {
  random_stream random(seed);
  const auto n_blocks = static_cast<std::uint32_t>(4 + random.below(40));
  CAPTURE(seed, n_blocks);
  world w(n_blocks, hash);
  for (int step = 0; step < 1500; ++step) {
    const std::uint64_t action = random.below(10);
    const std::size_t which = w.sequences.empty() ? 0 : random.below(w.sequences.size());
    if (action < 3) {
      w.start(random.below(3) == 0 ? "other" : "", random_tokens(random, 6));
    } else if (action < 8 && !w.sequences.empty()) {
      w.compute(w.sequences[which], static_cast<std::uint32_t>(1 + random.below(40)));
    } else if (action < 9 && !w.sequences.empty()) {
      w.sequences.erase(w.sequences.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (random.below(20) == 0) {
      w.index.reset();
      REQUIRE(w.pool.cached() == 0);
    }
    REQUIRE(w.index.size() <= n_blocks);
    if (step % 8 == 0) {
      const auto pool_audit = w.pool.audit();
      const auto index_audit = w.index.audit();
      REQUIRE(pool_audit.has_value());
      REQUIRE(index_audit.has_value());
    }
  }
  w.sequences.clear();
  CHECK(w.pool.used() == 0);
  w.index.reset();
  CHECK(w.index.size() == 0);
  CHECK(w.pool.audit().has_value());
}

}  // namespace

TEST_CASE("a sequence only ever gets blocks it would have computed itself", "[kv][prefix_index]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    run_randomly(seed, xxh3_128);
}

TEST_CASE("colliding hashes cost hits and never give wrong blocks", "[kv][prefix_index]") {
  for (std::uint64_t seed = 100; seed < 115; ++seed)
    run_randomly(seed, two_bit_hash);
  for (std::uint64_t seed = 200; seed < 205; ++seed)
    run_randomly(seed, constant_hash);
}

TEST_CASE("a collision is counted, and breaks only its own chain", "[kv][prefix_index]") {
  world w(8, constant_hash);
  std::vector<token_id> first, second;
  append_block(first, 1);
  append_block(second, 2);
  REQUIRE(w.start("", first));
  w.compute(w.sequences[0], 16);
  CHECK(w.index.size() == 1);
  CHECK(w.index.lookup(second, "", 16).blocks.empty());
  CHECK(w.index.lookup(first, "stranger", 16).blocks.empty());
  CHECK(w.index.stats().collisions == 2);

  auto chain = w.index.root("");
  const block_handle mine = *w.pool.allocate();
  const auto published = w.index.publish(chain, ids_of(second, 0), mine);
  CHECK(published.outcome == publish_outcome::collided);
  CHECK(published.block == mine);
  CHECK(chain.broken);
  w.pool.release(mine);
  CHECK(w.pool.cached() == 0);
}

TEST_CASE("a lookup equals the naive longest beginning, least recently used first", "[kv][prefix_index]") {
  // One sequence at a time, so that the naive cache is a map of beginnings with the time each was last let go.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    random_stream random(seed);
    const auto n_blocks = static_cast<std::uint32_t>(6 + random.below(20));
    CAPTURE(seed, n_blocks);
    block_pool pool(n_blocks);
    prefix_index index(pool, "model");
    std::map<content, std::uint64_t> naive;
    std::uint64_t time = 0, queried = 0, hit = 0;

    for (int step = 0; step < 800; ++step) {
      const std::string tenant = random.below(4) == 0 ? "other" : "";
      const auto tokens = random_tokens(random, 6);
      const auto n_tokens = static_cast<std::uint32_t>(tokens.size());
      const auto limit = static_cast<std::uint32_t>(random.below(n_tokens + 1));
      const std::uint32_t n_full = n_tokens / block_tokens;
      std::uint32_t n_known = 0;
      while ((n_known + 1) * block_tokens <= limit && naive.contains(content_of(tenant, tokens, n_known)))
        ++n_known;

      sequence_blocks table(pool, &index, tenant);
      REQUIRE(table.adopt_prefix(tokens, limit) == n_known * block_tokens);
      queried += limit;
      hit += n_known * block_tokens;
      REQUIRE(index.stats().tokens_queried == queried);
      REQUIRE(index.stats().tokens_hit == hit);

      // Naive eviction: while there is no room, the oldest beginning that nothing known continues and that is not held.
      REQUIRE(table.reserve(n_tokens));
      const auto held = [&](const content& c) {
        return c.first == tenant && c.second.size() <= n_known * block_tokens &&
               std::equal(c.second.begin(), c.second.end(), tokens.begin());
      };
      const auto continued = [&](const content& c) {
        return std::ranges::any_of(naive, [&](const auto& other) {
          return other.first.first == c.first && other.first.second.size() > c.second.size() &&
                 std::equal(c.second.begin(), c.second.end(), other.first.second.begin());
        });
      };
      while (naive.size() - n_known + table.size() > n_blocks) {
        auto victim = naive.end();
        for (auto it = naive.begin(); it != naive.end(); ++it)
          if (!held(it->first) && !continued(it->first) && (victim == naive.end() || it->second < victim->second))
            victim = it;
        REQUIRE(victim != naive.end());
        naive.erase(victim);
      }
      REQUIRE(index.size() == naive.size());

      table.commit(tokens, n_tokens);
      table.release();
      for (std::uint32_t block = n_full; block-- > 0;)
        naive[content_of(tenant, tokens, block)] = ++time;
      // What the limit kept from being adopted was computed again and found known already: let go like all others.
      REQUIRE(index.size() == naive.size());
      REQUIRE(pool.used() == 0);
      REQUIRE(index.audit().has_value());
    }
    CHECK(hit > 0);
  }
}

TEST_CASE("of two equal blocks the first stays", "[kv][prefix_index]") {
  world w(8, xxh3_128);
  std::vector<token_id> tokens;
  append_block(tokens, 1);
  append_block(tokens, 2);
  REQUIRE(w.start("", tokens));
  REQUIRE(w.start("", tokens));  // nothing is computed yet, so both have blocks of their own
  CHECK(w.pool.used() == 4);
  w.compute(w.sequences[0], 32);
  w.compute(w.sequences[1], 32);
  CHECK(w.pool.used() == 2);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(w.sequences[0].table->blocks()[i] == w.sequences[1].table->blocks()[i]);
  CHECK(w.pool.references(w.sequences[0].table->blocks()[0]) == 2);

  auto chain = w.index.root("");
  const auto again = w.index.publish(chain, ids_of(tokens, 0), *w.pool.allocate());
  CHECK(again.outcome == publish_outcome::already_known);
  CHECK(again.block == w.sequences[0].table->blocks()[0]);
  CHECK(chain.last == again.block);
  w.pool.release(again.block);
}

TEST_CASE("tenants and models have their own roots", "[kv][prefix_index]") {
  block_pool pool(4);
  const prefix_index ab(pool, "ab");
  block_pool other_pool(4);
  const prefix_index a(other_pool, "a");
  CHECK(ab.root("").hash != ab.root("x").hash);
  CHECK(ab.root("c").hash != a.root("bc").hash);
  CHECK(ab.root("c").hash == ab.root("c").hash);
}

TEST_CASE("a reservation is all or nothing, and release starts anew", "[kv][sequence_blocks]") {
  block_pool pool(4);
  prefix_index index(pool, "model");
  std::vector<token_id> tokens;
  for (std::uint64_t kind = 0; kind < 4; ++kind)
    append_block(tokens, kind);

  sequence_blocks table(pool, &index, "");
  CHECK(table.reserve(17));
  CHECK(table.size() == 2);
  CHECK_FALSE(table.reserve(65));
  CHECK(table.size() == 2);
  table.commit(tokens, 32);
  table.release();
  CHECK(pool.cached() == 2);

  CHECK(table.adopt_prefix(tokens, 63) == 32);
  CHECK(table.reserve(64));
  CHECK(pool.free() == 0);
  sequence_blocks late(pool, &index, "");
  CHECK_FALSE(late.reserve(1));
  table.commit(tokens, 64);
  sequence_blocks moved(std::move(table));
  CHECK(table.size() == 0);
  CHECK(moved.size() == 4);
  moved.release();
  CHECK(pool.used() == 0);
  CHECK(pool.cached() == 4);
  CHECK(late.reserve(64));
  CHECK(index.size() == 0);
}

TEST_CASE("without an index blocks are only counted", "[kv][sequence_blocks]") {
  block_pool pool(2);
  const std::vector<token_id> tokens(32, 5);
  {
    sequence_blocks table(pool, nullptr, "");
    CHECK(table.adopt_prefix(tokens, 31) == 0);
    CHECK(table.reserve(32));
    table.commit(tokens, 32);
    CHECK(pool.used() == 2);
  }
  CHECK(pool.used() == 0);
  CHECK(pool.cached() == 0);
}
