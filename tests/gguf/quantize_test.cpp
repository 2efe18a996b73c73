#include "runtime/gguf/quantize.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "kernels/table.hpp"

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

// The weights of whole rows, by the decoder that tests/kernels compares with another implementation.
std::vector<float> decoded(weight_type type, const std::vector<std::byte>& bytes, std::size_t n) {
  std::vector<float> weights(n);
  kernels::reference().dequantize_row(type, bytes.data(), static_cast<std::uint32_t>(n), weights.data());
  return weights;
}

std::vector<weight_type> block_formats() {
  std::vector<weight_type> formats;
  for (const weight_type type : kernels::weight_types)
    if (kernels::is_block_format(type)) formats.push_back(type);
  return formats;
}

// The distance of neighbouring codes for weights of this largest magnitude and range.
double code_step(weight_type type, double largest, double range) {
  switch (type) {
    case weight_type::q8_0:
      return largest / 127;
    case weight_type::q4_0:
      return largest / 8;
    case weight_type::q5_0:
      return largest / 16;
    case weight_type::q6_k:
      return largest / 32;
    case weight_type::q4_1:
    case weight_type::q4_k:
      return range / 15;
    default:
      return range / 31;
  }
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
  constexpr std::size_t n = 512;
  random_stream random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<float> weights(n);
    const double spread = std::pow(10.0, 4.0 * random.unit() - 3.0);
    const double shift = round % 3 == 0 ? spread : 0.0;
    for (float& w : weights)
      w = static_cast<float>(spread * (2.0 * random.unit() - 1.0) + shift);
    for (const weight_type type : block_formats()) {
      CAPTURE(kernels::to_string(type), round);
      const auto bytes = gguf::quantize(weights, n, type);
      REQUIRE(bytes.size() == kernels::row_bytes(type, n));
      const auto back = decoded(type, bytes, n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t alike = kernels::block_of(type).weights;  // share the rounding of their scales
        const auto first = weights.begin() + static_cast<std::ptrdiff_t>(i / alike * alike);
        auto [low, high] = std::minmax_element(first, first + static_cast<std::ptrdiff_t>(alike));
        const double largest = std::max(std::abs(*low), std::abs(*high));
        const double least = alike > 32 ? std::min(*low, 0.0f) : *low;  // the K formats' minimum is not above 0
        const double step = code_step(type, largest, *high - least);
        // Half a step; a whole one where a centred format has no code for the far end; the half-precision scale and
        // minimum, subnormal where weights are small; and, of the K formats, scale and minimum in 64 or 128 steps.
        const bool centred = type == weight_type::q4_0 || type == weight_type::q5_0 || type == weight_type::q6_k;
        const double most_steps = (*high - least + largest) / step * (alike > 32 ? 128 : 1);
        const double bound = (centred ? 1.0 : 0.5) * step + 2e-3 * largest + most_steps * 0x1p-25 +
                             (alike > 32 ? (*high - least) / 50 : 0.0);
        REQUIRE(std::abs(back[i] - weights[i]) <= bound);
      }
    }
  }
}

TEST_CASE("a block of zeros, and of one value, is exact") {
  constexpr std::size_t n = 256;
  const std::vector<float> zeros(n, 0.0f);
  const std::vector<float> ones(n, 1.0f);
  for (const weight_type type : block_formats()) {
    CAPTURE(kernels::to_string(type));
    for (const float weight : decoded(type, gguf::quantize(zeros, n, type), n))
      CHECK(weight == 0.0f);
    for (const float weight : decoded(type, gguf::quantize(ones, n, type), n))
      CHECK(std::abs(weight - 1.0f) < 1e-3f);
  }
}

TEST_CASE("rows that are not whole blocks are refused") {
  const std::vector<float> weights(48, 1.0f);
  CHECK_THROWS(gguf::quantize(weights, 48, weight_type::q4_0));
  CHECK_THROWS(gguf::quantize(weights, 32, weight_type::q4_0));
  CHECK_NOTHROW(gguf::quantize(weights, 48, weight_type::f16));
}
