// The 16 outputs of a tile as two vectors of 8 floats, and how an activation meets them.
#pragma once

#include "kernels/cpu/avx2/tile_loop.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// What a kernel of AVX2 is derived from, see tile_loop.hpp.
struct ymm_tile {
  using sums = __m256[2];

  [[gnu::always_inline]] static void clear(sums& one) { one[0] = one[1] = _mm256_setzero_ps(); }
  [[gnu::always_inline]] static void load(const float* from, sums& one) {
    one[0] = _mm256_loadu_ps(from);
    one[1] = _mm256_loadu_ps(from + lanes);
  }
  [[gnu::always_inline]] static void store(const sums& one, float* to) {
    _mm256_storeu_ps(to, one[0]);
    _mm256_storeu_ps(to + lanes, one[1]);
  }
};

/// Four neighbouring bytes of an activation row in every lane, to meet the same inputs of 8 outputs.
[[gnu::always_inline]] inline __m256i broadcast(const std::byte* four) {
  int bits;
  __builtin_memcpy(&bits, four, 4);
  return _mm256_set1_epi32(bits);
}

}  // namespace
}  // namespace troupe::kernels::avx2
