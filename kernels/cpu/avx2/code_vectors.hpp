// Vectors of codes and of whole-number scales out of a block of a tile (layout.hpp).
#pragma once

#include "kernels/cpu/avx2/block_kernel.hpp"

namespace troupe::kernels::avx2 {
namespace {

/// Codes of group Group for half h. HighBits: how many bits of a code are not in its nibble. low: where the nibbles
/// begin; a byte comes out as 0 .. 2^(4 + HighBits) - 1.
template <int HighBits, int Group>
[[gnu::always_inline]] inline __m256i load_codes(const std::byte* low, int h) {
  const __m256i both = load_bytes(low + 64 * (Group / 2) + 32 * h);
  const __m256i nibbles = _mm256_and_si256(Group % 2 ? _mm256_srli_epi16(both, 4) : both, _mm256_set1_epi8(15));
  if constexpr (HighBits == 0) {
    return nibbles;
  } else {
    constexpr int groups = 8 / HighBits;  // in a plane of high bits
    constexpr int shift = 4 - Group % groups * HighBits;
    const __m256i plane = load_bytes(low + 64 * (4 + Group / groups) + 32 * h);
    const __m256i moved = shift >= 0 ? _mm256_slli_epi16(plane, shift) : _mm256_srli_epi16(plane, -shift);
    const __m256i high = _mm256_and_si256(moved, _mm256_set1_epi8(((1 << HighBits) - 1) << 4));
    return _mm256_or_si256(nibbles, high);
  }
}

/// Eight bytes as whole numbers, each twice in its lane as 16 bits: what madd multiplies a lane's two sums by.
[[gnu::always_inline]] inline __m256i load_scales_u8(const std::byte* p) {
  const __m256i scales = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_or_si256(scales, _mm256_slli_epi32(scales, 16));
}
[[gnu::always_inline]] inline __m256i load_scales_i8(const std::byte* p) {
  const __m256i scales = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_blend_epi16(scales, _mm256_slli_epi32(scales, 16), 0xaa);
}

/// Eight bytes as floats.
[[gnu::always_inline]] inline __m256 load_u8_floats(const std::byte* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

/// The offset of half h: m in the formats that have it, -zero d in those that centre their codes, -n u in the K
/// formats.
template <weight_type Type, int Zero>
[[gnu::always_inline]] inline __m256 offset_of(const std::byte* step, const std::byte* block, int h, __m256 d) {
  if constexpr (layout_of<Type>.header_bytes == 2 * tile) return _mm256_mul_ps(d, _mm256_set1_ps(-float{Zero}));
  const __m256 m = load_halves(step + 2 * tile + 16 * h);
  if constexpr (layout_of<Type>.scale_bytes == 0) return m;
  return _mm256_mul_ps(_mm256_sub_ps(_mm256_setzero_ps(), m), load_u8_floats(block + tile + 8 * h));
}

/// What a half's 16-bit sums are multiplied by: the scales of a K format, else 1.
template <weight_type Type>
[[gnu::always_inline]] inline __m256i scales_of(const std::byte* block, int h) {
  if constexpr (layout_of<Type>.scale_bytes == 0) return _mm256_set1_epi16(1);
  return load_scales_u8(block + 8 * h);
}

}  // namespace
}  // namespace troupe::kernels::avx2
