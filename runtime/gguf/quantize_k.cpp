#include "runtime/gguf/quantize_k.hpp"

#include "kernels/half.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace troupe::gguf {
namespace {

using codes = std::array<std::uint8_t, k_block_weights>;

template <class T>
std::byte* put(std::byte* out, const T& value) {
  std::memcpy(out, &value, sizeof(value));
  return out + sizeof(value);
}

int nearest(float value, int low, int high) {
  return static_cast<int>(std::clamp(std::round(value), static_cast<float>(low), static_cast<float>(high)));
}

float divide(float a, float b) {
  return b != 0.0f ? a / b : 0.0f;
}

/// Rounded to the half that the block will hold, which goes to the file.
float through_half(float value, std::uint16_t& half) {
  half = kernels::float_to_f16(value);
  return kernels::f16_to_float(half);
}

/// What q4_k and q5_k share: w = d scale[i] q - n minimum[i] for the i-th 32.
struct affine_block {
  std::uint16_t d = 0, n = 0;
  std::array<std::uint8_t, 8> scale{}, minimum{};
  codes code{};
};

affine_block fit(k_block weights, int most) {
  std::array<float, 8> scales, minima;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto part = weights.subspan(i * 32, 32);
    const auto [low, high] = std::minmax_element(part.begin(), part.end());
    minima[i] = std::max(0.0f, -*low);  // the format can only subtract
    scales[i] = std::max(0.0f, *high + minima[i]) / static_cast<float>(most);
  }
  affine_block b;
  const float d = through_half(*std::max_element(scales.begin(), scales.end()) / 63.0f, b.d);
  const float n = through_half(*std::max_element(minima.begin(), minima.end()) / 63.0f, b.n);
  for (std::size_t i = 0; i < 8; ++i) {
    b.scale[i] = static_cast<std::uint8_t>(nearest(divide(scales[i], d), 0, 63));
    b.minimum[i] = static_cast<std::uint8_t>(nearest(divide(minima[i], n), 0, 63));
    for (std::size_t j = i * 32; j < i * 32 + 32; ++j)
      b.code[j] = static_cast<std::uint8_t>(nearest(divide(weights[j] + n * b.minimum[i], d * b.scale[i]), 0, most));
  }
  return b;
}

/// d, n and the eight pairs of 6 bits: the first four in the low bits of bytes 0..7, the low nibbles of the others in
/// bytes 8..11 and their high bits on top of bytes 0..7.
std::byte* put_scales(std::byte* out, const affine_block& b) {
  std::array<std::uint8_t, 12> packed{};
  for (std::size_t i = 0; i < 4; ++i) {
    packed[i] = static_cast<std::uint8_t>(b.scale[i] | b.scale[i + 4] >> 4 << 6);
    packed[i + 4] = static_cast<std::uint8_t>(b.minimum[i] | b.minimum[i + 4] >> 4 << 6);
    packed[i + 8] = static_cast<std::uint8_t>((b.scale[i + 4] & 15) | b.minimum[i + 4] << 4);
  }
  return put(put(put(out, b.d), b.n), packed);
}

/// Each `width` bytes hold the weights of one run of `width` in their low nibbles, those of the next in their high
/// ones.
template <std::size_t Width>
std::byte* put_nibbles(std::byte* out, const codes& code) {
  for (std::size_t begin = 0; begin < k_block_weights; begin += 2 * Width)
    for (std::size_t i = begin; i < begin + Width; ++i)
      *out++ = static_cast<std::byte>((code[i] & 15) | (code[i + Width] & 15) << 4);
  return out;
}

}  // namespace

std::byte* quantize_q4_k(k_block weights, std::byte* out) {
  const affine_block b = fit(weights, 15);
  return put_nibbles<32>(put_scales(out, b), b.code);
}

std::byte* quantize_q5_k(k_block weights, std::byte* out) {
  const affine_block b = fit(weights, 31);
  out = put_scales(out, b);
  for (std::size_t i = 0; i < 32; ++i) {  // bit j of byte i: the fifth bit of weight i of the j-th 32
    unsigned bits = 0;
    for (std::size_t j = 0; j < 8; ++j)
      bits |= static_cast<unsigned>(b.code[j * 32 + i] >> 4) << j;
    *out++ = static_cast<std::byte>(bits);
  }
  return put_nibbles<32>(out, b.code);
}

std::byte* quantize_q6_k(k_block weights, std::byte* out) {
  std::array<float, 16> scales;
  for (std::size_t i = 0; i < 16; ++i) {
    const auto part = weights.subspan(i * 16, 16);
    scales[i] = *std::max_element(part.begin(), part.end(), [](float a, float b) {
      return std::abs(a) < std::abs(b);
    }) / -32.0f;
  }
  const float extreme =
      *std::max_element(scales.begin(), scales.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  std::uint16_t half;
  const float d = through_half(extreme / -128.0f, half);
  std::array<std::int8_t, 16> scale;
  codes code;
  for (std::size_t i = 0; i < k_block_weights; ++i) {
    if (i % 16 == 0) scale[i / 16] = static_cast<std::int8_t>(nearest(divide(scales[i / 16], d), -128, 127));
    code[i] = static_cast<std::uint8_t>(nearest(divide(weights[i], d * scale[i / 16]), -32, 31) + 32);
  }
  // Each 128 weights: 64 bytes of nibbles, 32 bytes with two high bits of weights i, i + 32, i + 64 and i + 96.
  out = put_nibbles<64>(out, code);
  for (std::size_t begin = 0; begin < k_block_weights; begin += 128)
    for (std::size_t i = begin; i < begin + 32; ++i)
      *out++ = static_cast<std::byte>(code[i] >> 4 | code[i + 32] >> 4 << 2 | code[i + 64] >> 4 << 4 |
                                      code[i + 96] >> 4 << 6);
  return put(put(out, scale), half);
}

}  // namespace troupe::gguf
