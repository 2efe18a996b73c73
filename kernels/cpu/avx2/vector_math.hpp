// exp of eight floats, masks for the end of a row, and sums and maxima across lanes in a fixed order. For files
// compiled with -mavx2 only.
#pragma once

#include <cstddef>

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// e^x within 1.5 units in the last place (tests/kernels/exponential_test.cpp measures it over all floats). 0 below
/// -104, infinity above 88.73, subnormals between, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts so that r is exact enough; e^r = 1 + r + r^2 p(r) with p the
/// polynomial of degree 4 of least relative error (3.8e-9). 2^n is applied in two factors, since n reaches -150.
inline __m256 exponential(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x);  // the order of arguments lets a NaN through
  x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
  __m256 p = _mm256_set1_ps(0x1.6a2434p-10f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.1239e2p-7f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
  p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
  const __m256i exponent = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(exponent, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const auto power = [&](__m256i e) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, bias), 23)); };
  return _mm256_mul_ps(_mm256_mul_ps(p, power(half)), power(_mm256_sub_epi32(exponent, half)));
}

/// Lanes 0 .. n - 1 set.
inline __m256i lane_mask(std::size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline float sum_of_lanes(__m256 x) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/// The largest lane, in every lane.
inline __m256 largest_of_lanes(__m256 x) {
  x = _mm256_max_ps(x, _mm256_permute2f128_ps(x, x, 1));
  x = _mm256_max_ps(x, _mm256_permute_ps(x, 0x4e));
  return _mm256_max_ps(x, _mm256_permute_ps(x, 0xb1));
}

}  // namespace
}  // namespace troupe::kernels::avx2
