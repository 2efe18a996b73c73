#include "runtime/gguf/quantize.hpp"

#include "base/assert.hpp"
#include "runtime/gguf/quantize_k.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace troupe::gguf {
namespace {

constexpr std::size_t block_weights = 32;
using block = std::span<const float, block_weights>;

template <class T>
std::byte* put(std::byte* out, const T& value) {
  std::memcpy(out, &value, sizeof(value));
  return out + sizeof(value);
}

std::uint8_t clamp_code(float value, int max) {
  return static_cast<std::uint8_t>(std::clamp(static_cast<int>(value), 0, max));
}

using code_array = std::array<std::uint8_t, block_weights>;

// Weight i in the low nibble of byte i, weight i + 16 in its high nibble.
std::array<std::uint8_t, 16> pack_nibbles(const code_array& codes) {
  std::array<std::uint8_t, 16> packed = {};
  for (std::size_t i = 0; i < packed.size(); ++i)
    packed[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] << 4));
  return packed;
}

// Bit i is the fifth bit of weight i.
std::uint32_t fifth_bits(const code_array& codes) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < codes.size(); ++i)
    bits |= std::uint32_t{codes[i]} >> 4 << i;
  return bits;
}

std::byte* quantize_q8_0(block weights, std::byte* out) {
  float largest = 0.0f;
  for (const float w : weights)
    largest = std::max(largest, std::abs(w));
  const float scale = largest / 127.0f;
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  out = put(out, to_half(scale));
  std::array<std::int8_t, block_weights> codes = {};
  for (std::size_t i = 0; i < block_weights; ++i)
    codes[i] = static_cast<std::int8_t>(std::clamp(std::round(weights[i] * inverse), -127.0f, 127.0f));
  return put(out, codes);
}

/// Codes 0 .. 2^Bits - 1 around a zero in the middle: d (q - 2^(Bits - 1)).
template <int Bits>
std::byte* quantize_centred(block weights, std::byte* out) {
  // The weight of largest magnitude gets code 0, which stands for the far end of the side with one code more.
  constexpr int zero = 1 << (Bits - 1);
  const float extreme =
      *std::max_element(weights.begin(), weights.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float scale = extreme / -float{zero};
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  out = put(out, to_half(scale));
  code_array codes = {};
  for (std::size_t i = 0; i < block_weights; ++i)
    codes[i] = clamp_code(weights[i] * inverse + (zero + 0.5f), 2 * zero - 1);
  if (Bits == 5) out = put(out, fifth_bits(codes));
  return put(out, pack_nibbles(codes));
}

/// Codes 0 .. 2^Bits - 1 from the least weight up: d q + m.
template <int Bits>
std::byte* quantize_affine(block weights, std::byte* out) {
  constexpr int most = (1 << Bits) - 1;
  const auto [min, max] = std::minmax_element(weights.begin(), weights.end());
  const float scale = (*max - *min) / most;
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  out = put(out, to_half(scale));
  out = put(out, to_half(*min));
  code_array codes = {};
  for (std::size_t i = 0; i < block_weights; ++i)
    codes[i] = clamp_code((weights[i] - *min) * inverse + 0.5f, most);
  if (Bits == 5) out = put(out, fifth_bits(codes));
  return put(out, pack_nibbles(codes));
}

template <std::size_t Weights, class Quantize>
std::byte* quantize_blocks(std::span<const float> row, std::byte* out, const Quantize& one) {
  for (std::size_t i = 0; i < row.size(); i += Weights)
    out = one(row.subspan(i).first<Weights>(), out);
  return out;
}

std::byte* quantize_row(std::span<const float> row, kernels::weight_type type, std::byte* out) {
  using kernels::weight_type;
  switch (type) {
    case weight_type::f32:
      std::memcpy(out, row.data(), row.size_bytes());
      return out + row.size_bytes();
    case weight_type::f16:
      for (const float w : row)
        out = put(out, to_half(w));
      return out;
    case weight_type::bf16:
      for (const float w : row)
        out = put(out, to_bfloat16(w));
      return out;
    case weight_type::q8_0:
      return quantize_blocks<block_weights>(row, out, quantize_q8_0);
    case weight_type::q4_0:
      return quantize_blocks<block_weights>(row, out, quantize_centred<4>);
    case weight_type::q4_1:
      return quantize_blocks<block_weights>(row, out, quantize_affine<4>);
    case weight_type::q5_0:
      return quantize_blocks<block_weights>(row, out, quantize_centred<5>);
    case weight_type::q5_1:
      return quantize_blocks<block_weights>(row, out, quantize_affine<5>);
    case weight_type::q4_k:
      return quantize_blocks<k_block_weights>(row, out, quantize_q4_k);
    case weight_type::q5_k:
      return quantize_blocks<k_block_weights>(row, out, quantize_q5_k);
    case weight_type::q6_k:
      return quantize_blocks<k_block_weights>(row, out, quantize_q6_k);
  }
  return out;
}

}  // namespace

std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {
    // Subnormal halves are multiples of 2^-24: adding 0.5 aligns them with the last bit of a float in [0.5, 1), and the
    // addition rounds to nearest even.
    const auto shifted = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f);
    return static_cast<std::uint16_t>(sign | (shifted - 0x3f000000u));
  }
  const std::uint32_t rebased = magnitude - (112u << 23);  // from bias 127 to bias 15
  return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

std::vector<std::byte> quantize(std::span<const float> weights, std::size_t row_length, kernels::weight_type type) {
  const std::size_t row_bytes = kernels::row_bytes(type, row_length);
  TROUPE_ASSERT(row_bytes > 0 && weights.size() % row_length == 0, "weights must be whole rows of whole blocks");
  std::vector<std::byte> out(weights.size() / row_length * row_bytes);
  std::byte* next = out.data();
  for (std::size_t i = 0; i < weights.size(); i += row_length)
    next = quantize_row(weights.subspan(i, row_length), type, next);
  TROUPE_ASSERT(next == out.data() + out.size(), "rows filled the tensor");
  return out;
}

}  // namespace troupe::gguf
