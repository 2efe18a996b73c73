#include "runtime/gguf/quantize.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace troupe;
using kernels::weight_type;

namespace {

// Written from the definition of binary16, not from to_half.
double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

std::uint16_t load16(const std::byte* from) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, from, 2);
  return bits;
}

// Weight i of one block, from the definitions beside kernels::weight_type.
double block_value(weight_type type, const std::byte* block, std::size_t i) {
  const double scale = half_value(load16(block));
  if (type == weight_type::q8_0) return scale * static_cast<std::int8_t>(std::to_integer<std::uint8_t>(block[2 + i]));
  const std::byte* nibbles = block + (type == weight_type::q4_0 ? 2 : 4);
  const int byte = std::to_integer<int>(nibbles[i % 16]);
  const int code = i < 16 ? byte & 15 : byte >> 4;
  return type == weight_type::q4_0 ? scale * (code - 8) : scale * code + half_value(load16(block + 2));
}

}  // namespace

TEST_CASE("halves round to nearest even over all their values") {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double value = half_value(static_cast<std::uint16_t>(bits));
    const auto as_float = static_cast<float>(value);
    REQUIRE(gguf::to_half(as_float) == bits);
    REQUIRE(gguf::to_half(-as_float) == (bits | 0x8000));
    if (bits == 0x7bff) break;  // above it comes infinity
    // Exactly between two halves: the even one. A touch to either side: the nearer one.
    const auto middle = static_cast<float>((value + half_value(static_cast<std::uint16_t>(bits + 1))) / 2);
    REQUIRE(gguf::to_half(middle) == bits + (bits & 1));
    REQUIRE(gguf::to_half(std::nextafter(middle, 0.0f)) == bits);
    REQUIRE(gguf::to_half(std::nextafter(middle, 1e6f)) == bits + 1);
  }
  CHECK(gguf::to_half(65519.0f) == 0x7bff);
  CHECK(gguf::to_half(65520.0f) == 0x7c00);
  CHECK(gguf::to_half(-1e30f) == 0xfc00);
  CHECK(gguf::to_half(std::numeric_limits<float>::infinity()) == 0x7c00);
  CHECK((gguf::to_half(std::nanf("")) & 0x7fff) > 0x7c00);
}

TEST_CASE("bfloat16 is the upper half of a float, rounded to nearest even") {
  CHECK(gguf::to_bfloat16(1.0f) == 0x3f80);
  CHECK(gguf::to_bfloat16(std::bit_cast<float>(0x3f808000U)) == 0x3f80);  // a tie, to even
  CHECK(gguf::to_bfloat16(std::bit_cast<float>(0x3f818000U)) == 0x3f82);  // a tie, to even
  CHECK(gguf::to_bfloat16(std::bit_cast<float>(0x3f808001U)) == 0x3f81);
  CHECK(gguf::to_bfloat16(-std::numeric_limits<float>::infinity()) == 0xff80);
  CHECK(gguf::to_bfloat16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK((gguf::to_bfloat16(std::bit_cast<float>(0x7f800001U)) & 0x7fff) > 0x7f80);
}

TEST_CASE("block formats keep weights within their rounding") {
  random_stream random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> weights(64);
    const double spread = std::pow(10.0, 4.0 * random.unit() - 3.0);
    const double shift = round % 3 == 0 ? spread : 0.0;
    for (float& w : weights)
      w = static_cast<float>(spread * (2.0 * random.unit() - 1.0) + shift);
    for (const weight_type type : {weight_type::q8_0, weight_type::q4_0, weight_type::q4_1}) {
      const auto bytes = gguf::quantize(weights, 64, type);
      REQUIRE(bytes.size() == kernels::row_bytes(type, 64));
      for (std::size_t i = 0; i < 64; ++i) {
        const std::byte* block = bytes.data() + i / 32 * kernels::row_bytes(type, 32);
        const auto first = weights.begin() + static_cast<std::ptrdiff_t>(i / 32 * 32);
        const auto [low, high] = std::minmax_element(first, first + 32);
        const double largest = std::max(std::abs(*low), std::abs(*high));
        const double step = type == weight_type::q8_0   ? largest / 127
                            : type == weight_type::q4_0 ? largest / 8
                                                        : (*high - *low) / 15.0;
        // Half a step; a whole one where q4_0 has no code for the far end; and the half-precision scale and minimum.
        const double bound = (type == weight_type::q4_0 ? 1.0 : 0.5) * step + 2e-3 * largest;
        REQUIRE(std::abs(block_value(type, block, i % 32) - weights[i]) <= bound);
      }
    }
  }
}

TEST_CASE("a block of zeros, and of one value, is exact") {
  const std::vector<float> zeros(32, 0.0f);
  const std::vector<float> ones(32, 1.0f);
  for (const weight_type type : {weight_type::q8_0, weight_type::q4_0, weight_type::q4_1}) {
    const auto zero = gguf::quantize(zeros, 32, type);
    const auto one = gguf::quantize(ones, 32, type);
    for (std::size_t i = 0; i < 32; ++i) {
      CHECK(block_value(type, zero.data(), i) == 0.0);
      CHECK(std::abs(block_value(type, one.data(), i) - 1.0) < 1e-3);
    }
  }
}

TEST_CASE("rows that are not whole blocks are refused") {
  const std::vector<float> weights(48, 1.0f);
  CHECK_THROWS(gguf::quantize(weights, 48, weight_type::q4_0));
  CHECK_THROWS(gguf::quantize(weights, 32, weight_type::q4_0));
  CHECK_NOTHROW(gguf::quantize(weights, 48, weight_type::f16));
}
