// Holds beside the tables they were taken from: what they keep stays, and the index's chains stay whole.
#include "runtime/kv/block_hold.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "runtime/kv/sequence_blocks.hpp"

#include <numeric>
#include <optional>

using namespace troupe;

namespace {

constexpr std::uint32_t block_tokens = kernels::kv_block_tokens;

std::vector<token_id> tokens_of(std::uint32_t n) {
  std::vector<token_id> tokens(n);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

/// Takes every free block once, so that what is not held is forgotten.
void press(block_pool& pool) {
  std::vector<block_handle> all;
  while (const auto block = pool.allocate())
    all.push_back(*block);
  for (const block_handle block : all)
    pool.release(block);
}

}  // namespace

TEST_CASE("a hold keeps blocks when their table gives them back", "[kv][block_hold]") {
  block_pool pool(6);
  prefix_index index(pool, "model");
  const auto tokens = tokens_of(4 * block_tokens);
  std::optional<block_hold> held;
  {
    sequence_blocks table(pool, &index, "");
    REQUIRE(table.reserve(4 * block_tokens));
    table.commit(tokens, 3 * block_tokens);  // the last block is not known to the index
    held.emplace(pool, table.blocks());
  }
  CHECK(pool.used() == 4);
  press(pool);
  CHECK(pool.used() == 4);
  CHECK(index.audit());
  CHECK(index.lookup(tokens, "", 3 * block_tokens).blocks.size() == 3);
  for (std::uint32_t i = 3; i-- > 0;)
    pool.release(held->blocks()[i]);  // of the look-up

  block_hold moved(*std::move(held));
  held.reset();
  CHECK(pool.used() == 4);
  { const block_hold last(std::move(moved)); }
  CHECK(pool.used() == 0);
  CHECK(pool.cached() == 3);
  press(pool);  // leaves before their parents
  CHECK(index.size() == 0);
  CHECK(pool.audit());
}

TEST_CASE("a block that others read is not exchanged, and nothing is published behind it", "[kv][block_hold]") {
  block_pool pool(10);
  prefix_index index(pool, "model");
  const auto tokens = tokens_of(3 * block_tokens);
  sequence_blocks first(pool, &index, ""), second(pool, &index, "");
  REQUIRE(first.reserve(3 * block_tokens));
  REQUIRE(second.reserve(3 * block_tokens));
  first.commit(tokens, 2 * block_tokens);
  const std::vector<block_handle> before(second.blocks().begin(), second.blocks().end());
  {
    const block_hold held(pool, std::span(before).first(2));
    second.commit(tokens, 3 * block_tokens);
    CHECK(std::ranges::equal(second.blocks(), before));
    CHECK(index.size() == 2);
    CHECK(index.audit());
    first.release();
    press(pool);
    CHECK(index.audit());
  }
  second.release();
  CHECK(pool.used() == 0);
  CHECK(pool.audit());
}

TEST_CASE("a table goes on in a fresh block where others read the old one", "[kv][block_hold]") {
  block_pool pool(4);
  prefix_index index(pool, "model");
  const auto tokens = tokens_of(2 * block_tokens);
  sequence_blocks table(pool, &index, "");
  REQUIRE(table.reserve(2 * block_tokens));
  table.commit(tokens, block_tokens);
  const std::vector<block_handle> before(table.blocks().begin(), table.blocks().end());
  const block_hold held(pool, before);
  const auto fresh = table.replace(1);
  REQUIRE(fresh);
  CHECK(*fresh == table.blocks()[1]);
  CHECK_FALSE(*fresh == before[1]);
  CHECK(pool.references(before[1]) == 1);
  CHECK(pool.references(*fresh) == 1);
  table.commit(tokens, 2 * block_tokens);
  CHECK(index.size() == 2);

  sequence_blocks full(pool, nullptr, "");
  REQUIRE(full.reserve(block_tokens));
  CHECK_FALSE(full.replace(0));  // no block is free
  CHECK(full.size() == 1);
  CHECK(pool.audit());
}

TEST_CASE("holds taken and given back at random leave the pool and the index whole", "[kv][block_hold]") {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    block_pool pool(20);
    prefix_index index(pool, "model");
    const auto tokens = tokens_of(6 * block_tokens);
    std::vector<std::pair<sequence_blocks, std::uint32_t>> tables;  // with what is computed
    for (int i = 0; i < 4; ++i)
      tables.emplace_back(sequence_blocks(pool, &index, ""), 0);
    std::vector<std::unique_ptr<block_hold>> holds;
    for (int i = 0; i < 2'000; ++i) {
      auto& [table, n_computed] = tables[random.below(tables.size())];
      const std::uint64_t what = random.below(10);
      if (what < 5) {
        const auto n = std::min(n_computed + static_cast<std::uint32_t>(random.below(30)), 6 * block_tokens);
        if (n_computed == 0 && table.size() == 0 && random.below(2)) n_computed = table.adopt_prefix(tokens, n);
        if (!table.reserve(n)) continue;
        if (random.below(3) == 0) holds.push_back(std::make_unique<block_hold>(pool, table.blocks()));
        n_computed = std::max(n, n_computed);
        table.commit(tokens, n_computed);
      } else if (what < 6) {
        table.release();
        n_computed = 0;
      } else if (what < 7 && table.size() > 0 && random.below(4) == 0) {
        index.reset();
      } else if (!holds.empty()) {
        holds.erase(holds.begin() + static_cast<std::ptrdiff_t>(random.below(holds.size())));
      }
      const auto whole = index.audit();
      if (!whole) FAIL(whole.error().message);
      REQUIRE(pool.audit());
    }
    holds.clear();
    tables.clear();
    CHECK(pool.used() == 0);
  }
}
