// The pool against a naive one that keeps sets and lists, over thousands of random operations.
#include "runtime/kv/block_pool.hpp"

#include "base/failpoint.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>
#include <deque>
#include <stdexcept>

using namespace troupe;

namespace {

// What the pool promises, written down without cleverness.
struct naive_pool {
  struct use {
    block_handle handle;
    std::uint32_t references;
    bool kept;
  };
  std::uint32_t total;
  std::vector<use> used;
  std::deque<block_handle> cached;  // the one released longest ago in front

  std::uint32_t free() const { return total - static_cast<std::uint32_t>(used.size()); }
  bool expects_eviction() const { return used.size() + cached.size() == total && !cached.empty(); }
  void release(std::size_t which) {
    if (--used[which].references > 0) return;
    if (used[which].kept) cached.push_back(used[which].handle);
    used.erase(used.begin() + static_cast<std::ptrdiff_t>(which));
  }
};

}  // namespace

TEST_CASE("a pool equals the naive one", "[kv][block_pool]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    random_stream random(seed);
    const auto total = static_cast<std::uint32_t>(1 + random.below(24));
    CAPTURE(seed, total);
    block_pool pool(total);
    naive_pool naive{.total = total, .used = {}, .cached = {}};
    std::vector<block_handle> evicted, stale;
    pool.on_evict([&](block_handle block) { evicted.push_back(block); });

    for (int step = 0; step < 4000; ++step) {
      const std::uint64_t action = random.below(10);
      const std::size_t which = naive.used.empty() ? 0 : random.below(naive.used.size());
      if (action < 4) {
        const bool evicts = naive.expects_eviction();
        const auto block = pool.allocate();
        REQUIRE(block.has_value() == (naive.free() > 0));
        REQUIRE(evicted.size() == (evicts ? 1u : 0u));
        if (evicts) {
          REQUIRE(evicted.back() == naive.cached.front());
          stale.push_back(evicted.back());
          naive.cached.pop_front();
          evicted.clear();
        }
        if (block) naive.used.push_back({*block, 1, false});
      } else if (action < 5 && !naive.cached.empty()) {
        const auto i = static_cast<std::ptrdiff_t>(random.below(naive.cached.size()));
        const block_handle block = naive.cached[static_cast<std::size_t>(i)];
        if (random.below(2) == 0) {
          pool.retain(block);
          naive.used.push_back({block, 1, true});
        } else {
          pool.forget(block);
          stale.push_back(block);
        }
        naive.cached.erase(naive.cached.begin() + i);
      } else if (action < 6 && !naive.used.empty()) {
        pool.retain(naive.used[which].handle);
        ++naive.used[which].references;
      } else if (action < 7 && !naive.used.empty()) {
        if (naive.used[which].kept)
          pool.forget(naive.used[which].handle);
        else
          pool.keep(naive.used[which].handle);
        naive.used[which].kept = !naive.used[which].kept;
      } else if (!naive.used.empty()) {
        const auto gone = naive.used[which];
        pool.release(gone.handle);
        if (gone.references == 1 && !gone.kept) stale.push_back(gone.handle);
        naive.release(which);
      }

      REQUIRE(pool.used() == naive.used.size());
      REQUIRE(pool.cached() == naive.cached.size());
      REQUIRE(pool.free() == naive.free());
      REQUIRE(pool.free() + pool.used() == pool.total());
      REQUIRE(pool.oldest_cached().has_value() == !naive.cached.empty());
      if (!naive.cached.empty()) REQUIRE(*pool.oldest_cached() == naive.cached.front());
      if (step % 16 == 0) {
        REQUIRE(pool.audit().has_value());
        for (const auto& use : naive.used)
          REQUIRE(pool.references(use.handle) == use.references);
        for (const auto& block : stale)
          REQUIRE_FALSE(pool.is_current(block));
      }
    }
  }
}

TEST_CASE("a stale handle is a programmer's error", "[kv][block_pool]") {
  block_pool pool(2);
  const block_handle first = *pool.allocate();
  pool.release(first);
  CHECK_THROWS_AS(pool.release(first), std::logic_error);
  CHECK_THROWS_AS(pool.retain(first), std::logic_error);
  const block_handle second = *pool.allocate();
  CHECK(second.index == first.index);
  CHECK(second.generation != first.generation);
  CHECK_THROWS_AS(pool.references(first), std::logic_error);
  CHECK_THROWS_AS(pool.retain({7, 0}), std::logic_error);
  CHECK(pool.references(second) == 1);

  pool.keep(second);
  pool.release(second);
  CHECK_THROWS_AS(pool.release(second), std::logic_error);  // cached: current, but held by nobody
  CHECK_THROWS_AS(pool.keep(second), std::logic_error);
  pool.retain(second);
  CHECK(pool.references(second) == 1);
}

TEST_CASE("a pool without blocks and a failing allocation", "[kv][block_pool]") {
  block_pool none(0);
  CHECK_FALSE(none.allocate());
  CHECK(none.audit().has_value());

  block_pool pool(1);
  arm_failpoint("kv.allocate");
  CHECK_FALSE(pool.allocate());
  CHECK(pool.allocate());
  disarm_failpoints();
}
