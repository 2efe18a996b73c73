#include "kernels/half.hpp"

#include "catch.hpp"

#include <cmath>

using namespace troupe::kernels;

TEST_CASE("every half is the float that its bits say", "[half]") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_float(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>((bits >> 10) & 31);
    const int mantissa = static_cast<int>(bits & 1023);
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) {
      REQUIRE((mantissa == 0 ? std::isinf(value) : std::isnan(value)));
    } else {
      REQUIRE(double{value} ==
              sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25)));
    }
    REQUIRE(std::signbit(value) == (sign < 0));
  }
}

TEST_CASE("floats round to the nearest half, ties to even", "[half]") {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double low = f16_to_float(static_cast<std::uint16_t>(bits));
    const double high = bits == 0x7bff ? 65536.0 : f16_to_float(static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);  // exact: a float has bits to spare
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    REQUIRE(float_to_f16(static_cast<float>(low)) == bits);
    REQUIRE(float_to_f16(middle) == even);
    REQUIRE(float_to_f16(std::nextafter(middle, 0.0f)) == bits);
    REQUIRE(float_to_f16(std::nextafter(middle, 1e9f)) == bits + 1);
    REQUIRE(float_to_f16(-middle) == (even | 0x8000));
  }
  CHECK(float_to_f16(1e30f) == 0x7c00);
  CHECK(float_to_f16(-INFINITY) == 0xfc00);
  CHECK((float_to_f16(NAN) & 0x7c00) == 0x7c00);
  CHECK((float_to_f16(NAN) & 0x03ff) != 0);
}

TEST_CASE("bfloat16 is the upper half of a float", "[half]") {
  CHECK(bf16_to_float(0x3f80) == 1.0f);
  CHECK(bf16_to_float(0xc040) == -3.0f);
  CHECK(std::isnan(bf16_to_float(0x7fc0)));
}
