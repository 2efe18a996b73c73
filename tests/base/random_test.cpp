#include "base/random.hpp"

#include "catch.hpp"

#include <array>
#include <set>

using namespace troupe;

TEST_CASE("a number is a function of seed and index", "[random]") {
  CHECK(random_bits(7, 3) == random_bits(7, 3));
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed)
    for (std::uint64_t index = 0; index < 100; ++index)
      seen.insert(random_bits(seed, index));
  CHECK(seen.size() == 10'000);
}

TEST_CASE("unit numbers fill [0, 1) evenly", "[random]") {
  std::array<int, 16> bins{};
  for (std::uint64_t i = 0; i < 160'000; ++i) {
    const double u = random_unit(42, i);
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    ++bins[static_cast<std::size_t>(u * 16)];
  }
  double chi_square = 0;
  for (const int count : bins)
    chi_square += (count - 10'000.0) * (count - 10'000.0) / 10'000.0;
  CHECK(chi_square < 37.7);  // 15 degrees of freedom, p = 0.001
}

TEST_CASE("below stays below", "[random]") {
  random_stream stream(1);
  CHECK(stream.below(0) == 0);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i)
    seen.insert(stream.below(7));
  CHECK(seen == std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6});
}
