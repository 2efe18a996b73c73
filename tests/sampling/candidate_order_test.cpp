// The order that is never sorted against one that is.
#include "runtime/sampling/candidate_order.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace troupe;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr double unit = 1099511627776.0;  // 2^40

std::vector<float> random_logits(random_stream& random, std::size_t n, float spread, bool ties) {
  std::vector<float> logits(n);
  for (float& x : logits) {
    x = static_cast<float>((random.unit() - 0.5) * spread);
    if (ties) x = std::round(x * 2) / 2;
  }
  return logits;
}

std::vector<token_id> fully_sorted(const std::vector<float>& logits) {
  std::vector<token_id> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](token_id a, token_id b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  return ids;
}

}  // namespace

TEST_CASE("every beginning equals the one of a full sort", "[sampling][candidate_order]") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    random_stream random(seed);
    const auto n = static_cast<std::uint32_t>(1 + random.below(900));
    const float spread = std::array{0.0f, 1e-3f, 1.0f, 8.0f, 60.0f}[random.below(5)];
    const auto logits = random_logits(random, n, spread, random.below(2) == 0);
    const float temperature = std::array{0.05f, 0.7f, 1.0f, 3.0f, 100.0f}[random.below(5)];
    CAPTURE(seed, n, spread, temperature);

    candidate_order order(n);
    REQUIRE(order.assign(logits, temperature, 0.0f));
    const auto sorted = fully_sorted(logits);
    const float largest = logits[static_cast<std::size_t>(sorted[0])];

    std::uint64_t before = 0;
    for (std::uint32_t k = 1; k <= n; ++k) {
      const token_id id = sorted[k - 1];
      const std::uint64_t weight = order.weight_of_first(k) - before;
      const double exact = std::exp((double{logits[static_cast<std::size_t>(id)]} - largest) / temperature) * unit;
      REQUIRE(std::abs(static_cast<double>(weight) - exact) <= exact * 4e-6 + 1.0);
      if (weight == 0) break;
      for (const std::uint64_t target : {before + 1, before + weight}) {
        const auto found = order.shortest_reaching(target);
        REQUIRE(found.last == id);
        REQUIRE(found.weight == before + weight);
      }
      before += weight;
    }
    CHECK(before == order.total_weight());
    CHECK(order.weight_of_first(n + 5) == order.total_weight());
  }
}

TEST_CASE("equal logits weigh the same and stand by id", "[sampling][candidate_order]") {
  const std::vector<float> logits(10, -3.5f);
  candidate_order order(10);
  REQUIRE(order.assign(logits, 0.7f, 0.0f));
  CHECK(order.total_weight() == 10 * static_cast<std::uint64_t>(unit));
  for (std::uint64_t k = 1; k <= 10; ++k) {
    CHECK(order.weight_of_first(k) == k << 40);
    CHECK(order.shortest_reaching(k << 40).last == static_cast<token_id>(k - 1));
  }
}

TEST_CASE("min_weight removes what is lighter", "[sampling][candidate_order]") {
  const std::vector<float> logits{0.0f, std::log(0.5f), std::log(0.25f), std::log(0.1f)};
  candidate_order order(4);
  REQUIRE(order.assign(logits, 1.0f, 0.2f));
  CHECK(order.weight_of_first(3) == order.total_weight());
  CHECK(order.shortest_reaching(order.total_weight()).last == 2);
  REQUIRE(order.assign(logits, 1.0f, 1.0f));
  CHECK(order.total_weight() == static_cast<std::uint64_t>(unit));
}

TEST_CASE("logits that are no numbers", "[sampling][candidate_order]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  candidate_order order(5);
  std::vector<float> logits;  // read until the last question
  const auto assign = [&](std::vector<float> values, float temperature) {
    logits = std::move(values);
    return order.assign(logits, temperature, 0.0f);
  };
  const std::vector<float> nothing{nan, -infinity, nan, -infinity, nan};
  CHECK_FALSE(assign(nothing, 1.0f));

  REQUIRE(assign({nan, -infinity, -2.0f, nan, -infinity}, 1.0f));
  CHECK(order.total_weight() == static_cast<std::uint64_t>(unit));
  CHECK(order.shortest_reaching(1).last == 2);

  REQUIRE(assign({1.0f, infinity, nan, infinity, -infinity}, 1.0f));
  CHECK(order.total_weight() == 2 * static_cast<std::uint64_t>(unit));
  CHECK(order.shortest_reaching(1).last == 1);
  CHECK(order.shortest_reaching(order.total_weight()).last == 3);

  const float huge = std::numeric_limits<float>::max();
  for (const float temperature : {1e-45f, 1e-10f, 1.0f, 1e30f, huge}) {
    REQUIRE(assign({-huge, huge, 0.0f, nan, 1.0f}, temperature));
    CHECK(order.shortest_reaching(1).last == 1);
    CHECK(order.shortest_reaching(order.total_weight()).weight == order.total_weight());
  }
}
