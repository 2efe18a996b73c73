// The 16 outputs of a tile as one vector, in the loops of AVX2's tile_loop.hpp and over its packed layout (layout.hpp):
// where that has a half of a tile in 32 bytes and the other in the next 32, here are 64.
#pragma once

#include "kernels/cpu/avx2/tile_loop.hpp"
#include "kernels/cpu/avx512/intrinsics.hpp"

namespace troupe::kernels::avx512 {
namespace {

using avx2::layout_of;
using avx2::step_layout;
using avx2::tile;
using avx2::tile_step_bytes;
using avx2::unrolled;

/// What a kernel of AVX-512 is derived from, see tile_loop.hpp.
struct zmm_tile {
  using sums = __m512;

  [[gnu::always_inline]] static void clear(sums& one) { one = _mm512_setzero_ps(); }
  [[gnu::always_inline]] static void load(const float* from, sums& one) { one = _mm512_loadu_ps(from); }
  [[gnu::always_inline]] static void store(const sums& one, float* to) { _mm512_storeu_ps(to, one); }
};

/// Of a row that nobody else shares: its 32 bits at p in every lane.
[[gnu::always_inline]] inline __m512i broadcast_bits(const std::byte* p) {
  int bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm512_set1_epi32(bits);
}
[[gnu::always_inline]] inline __m512 broadcast_float(const std::byte* p) {
  float value;
  __builtin_memcpy(&value, p, 4);
  return _mm512_set1_ps(value);
}

[[gnu::always_inline]] inline std::uint32_t load_u32(const std::byte* p) {
  std::uint32_t value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

/// Sixteen neighbours as vectors of 32 bits.
[[gnu::always_inline]] inline __m512 load_halves(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
[[gnu::always_inline]] inline __m512 load_u8_floats(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
[[gnu::always_inline]] inline __m512 load_i8_floats(const std::byte* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

}  // namespace
}  // namespace troupe::kernels::avx512
