// The vector exp over the whole range of floats, against the C library's in double.
#include "catch.hpp"
#include "inputs.hpp"
#include "tables.hpp"

#include <limits>

using namespace troupe::kernels;

namespace {

/// In units of the last place of the exact value, which is 2^-149 at least.
double error_in_units(float x, float y) {
  const double exact = std::exp(double{x});
  if (exact > double{std::numeric_limits<float>::max()} * (1 + 0x1p-25)) {
    return y == std::numeric_limits<float>::infinity() ? 0.0 : std::numeric_limits<double>::infinity();
  }
  const double unit = std::ldexp(1.0, std::max(exact > 0 ? std::ilogb(exact) : -1000, -126) - 23);
  return std::abs(double{y} - exact) / unit;
}

double largest_error(const tested_exponential& tested, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  tested.exponential(x.data(), x.size(), y.data());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    largest = std::max(largest, error_in_units(x[i], y[i]));
  return largest;
}

}  // namespace

TEST_CASE("exp is within 1.5 units in the last place", "[exponential]") {
  std::vector<float> everywhere;  // every 1,009th float
  for (std::uint64_t bits = 0; bits < 0x100000000; bits += 1009) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(x)) everywhere.push_back(x);
  }
  std::vector<float> range;  // where it is neither 0 nor infinite, evenly
  for (int i = 0; i < 2'000'000; ++i)
    range.push_back(-105.0f + static_cast<float>(i) * (195.0f / 2e6f));
  for (const tested_exponential& tested : tested_exponentials()) {
    CAPTURE(tested.isa);
    CHECK(largest_error(tested, everywhere) <= 1.5);
    CHECK(largest_error(tested, range) <= 1.5);
  }
}

TEST_CASE("exp at the ends", "[exponential]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {
      -infinity, infinity, std::numeric_limits<float>::quiet_NaN(), 0.0f, -0.0f, -104.0f, 1e30f, -1e30f, 1.0f};
  for (const tested_exponential& tested : tested_exponentials()) {
    CAPTURE(tested.isa);
    std::vector<float> y(x.size());
    tested.exponential(x.data(), x.size(), y.data());
    CHECK(y[0] == 0.0f);
    CHECK(y[1] == infinity);
    CHECK(std::isnan(y[2]));
    CHECK(y[3] == 1.0f);
    CHECK(y[4] == 1.0f);
    CHECK(y[5] == 0.0f);
    CHECK(y[6] == infinity);
    CHECK(y[7] == 0.0f);
    CHECK(std::abs(y[8] - 2.7182818f) < 5e-7f);
  }
}
