#include "policies/hexgen_replay.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

std::vector<replayed_call> random_calls(std::size_t n, double rate, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<replayed_call> calls;
  double now_s = 0;
  for (std::size_t i = 0; i < n; ++i) {
    now_s += 2 * random.unit() / rate;
    calls.push_back(
        {now_s, static_cast<std::uint32_t>(random.below(5000)), static_cast<std::uint32_t>(random.below(500))});
  }
  return calls;
}

}  // namespace

TEST_CASE("a replay of lone calls takes as long as each does alone", "[hexgen_replay]") {
  const std::vector<replayed_worker> one{{1e-3, 1e-2, 1}};
  const std::vector<replayed_call> apart{{0, 1000, 100}, {100, 1000, 100}};
  CHECK(replay_p95(apart, one, {}) > 1.99);
  CHECK(replay_p95(apart, one, {}) < 2.01);
  // In one place the second waits for the first, in two it does not.
  const std::vector<replayed_call> together{{0, 1000, 100}, {0, 1000, 100}, {0, 1000, 100}};
  CHECK(replay_p95(together, one, {}) > 3.9);
  CHECK(replay_p95(together, std::vector<replayed_worker>{{1e-3, 1e-2, 3}}, {}) < 2.01);
  CHECK(replay_p95({}, one, {}) == 0);
  CHECK(replay_p95(apart, {}, {}) == 0);
}

TEST_CASE("the tuned alpha is the best of the grid", "[hexgen_replay]") {
  const std::vector<replayed_worker> unequal{{1e-4, 2e-2, 8}, {1e-4, 2e-2, 8}, {4e-4, 6e-2, 8}};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto calls = random_calls(400, 3, seed);
    for (const bool cumulative : {false, true}) {
      const double tuned = tune_alpha(alpha_grid, calls, unequal, cumulative);
      for (const double alpha : alpha_grid)
        CHECK(replay_p95(calls, unequal, {tuned, cumulative}) <= replay_p95(calls, unequal, {alpha, cumulative}));
    }
  }
}
