// AVX-512 in AVX2, for kernels/cpu/avx512/intrinsics.hpp: SIMDe's, and what SIMDe 0.7.4 does not have.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <cmath>

#include <simde/x86/avx512.h>

namespace troupe::kernels::emulated {
namespace {

struct halves {
  __m256i low, high;
};

template <class To, class From>
To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

inline __m512 cvtph_ps(__m256i x) {
  const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(x));
  const __m256 high = _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1));
  return bits_as<__m512>(halves{_mm256_castps_si256(low), _mm256_castps_si256(high)});
}
inline __m512i cvtepu8_epi32(__m128i x) {
  return bits_as<__m512i>(halves{_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8))});
}
inline __m512i cvtepi8_epi32(__m128i x) {
  return bits_as<__m512i>(halves{_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8))});
}
inline __m512i cvtepu16_epi32(__m256i x) {
  return bits_as<__m512i>(
      halves{_mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1))});
}
inline __m512 cvtepi32_ps(__m512i x) {
  const auto parts = bits_as<halves>(x);
  return bits_as<__m512>(
      halves{_mm256_castps_si256(_mm256_cvtepi32_ps(parts.low)), _mm256_castps_si256(_mm256_cvtepi32_ps(parts.high))});
}
inline __m512i cvtps_epi32(__m512 x) {
  const auto parts = bits_as<halves>(x);
  return bits_as<__m512i>(
      halves{_mm256_cvtps_epi32(_mm256_castsi256_ps(parts.low)), _mm256_cvtps_epi32(_mm256_castsi256_ps(parts.high))});
}
inline __m256 extractf32x8_ps(__m512 x, int half) {
  const auto parts = bits_as<halves>(x);
  return _mm256_castsi256_ps(half == 0 ? parts.low : parts.high);
}

/// SIMDe's, but not inline: the kernels have a hundred in a row.
[[gnu::noinline]] inline __m512i dpbusd_epi32(__m512i sum, __m512i u, __m512i s) {
  return simde_mm512_dpbusd_epi32(sum, u, s);
}

/// The low byte of each.
inline __m128i cvtepi32_epi8(__m512i x) {
  std::int32_t words[16];
  __builtin_memcpy(words, &x, sizeof words);
  std::int8_t bytes[16];
  for (int i = 0; i < 16; ++i)
    bytes[i] = static_cast<std::int8_t>(words[i]);
  return bits_as<__m128i>(bytes);
}

/// Lanes that are not in the mask are not touched in memory.
inline __m512 maskz_loadu_ps(unsigned mask, const float* from) {
  float lanes[16] = {};
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1u) lanes[i] = from[i];
  return bits_as<__m512>(lanes);
}
inline void mask_storeu_ps(float* to, unsigned mask, __m512 x) {
  float lanes[16];
  __builtin_memcpy(lanes, &x, sizeof lanes);
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1u) to[i] = lanes[i];
}

/// a 2^floor(b), rounded once. SIMDe's rounds 2^b first, and loses results below the normal range.
inline __m512 scalef_ps(__m512 a, __m512 b) {
  float from[16], powers[16];
  __builtin_memcpy(from, &a, sizeof from);
  __builtin_memcpy(powers, &b, sizeof powers);
  for (int i = 0; i < 16; ++i)
    from[i] = std::isnan(powers[i]) ? powers[i] : ::ldexpf(from[i], static_cast<int>(::floorf(powers[i])));
  return bits_as<__m512>(from);
}

}  // namespace
}  // namespace troupe::kernels::emulated

// Without optimisation some of the compiler's own are macros.
#undef _mm512_dpbusd_epi32
#undef _mm512_cvtph_ps
#undef _mm512_cvtepu8_epi32
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_epi32
#undef _mm512_extractf32x8_ps
#undef _mm512_cvtepi32_epi8
#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_scalef_ps
#define _mm512_dpbusd_epi32 ::troupe::kernels::emulated::dpbusd_epi32
#define _mm512_cvtph_ps ::troupe::kernels::emulated::cvtph_ps
#define _mm512_cvtepu8_epi32 ::troupe::kernels::emulated::cvtepu8_epi32
#define _mm512_cvtepi8_epi32 ::troupe::kernels::emulated::cvtepi8_epi32
#define _mm512_cvtepu16_epi32 ::troupe::kernels::emulated::cvtepu16_epi32
#define _mm512_cvtepi32_ps ::troupe::kernels::emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 ::troupe::kernels::emulated::cvtps_epi32
#define _mm512_extractf32x8_ps ::troupe::kernels::emulated::extractf32x8_ps
#define _mm512_cvtepi32_epi8 ::troupe::kernels::emulated::cvtepi32_epi8
#define _mm512_maskz_loadu_ps ::troupe::kernels::emulated::maskz_loadu_ps
#define _mm512_mask_storeu_ps ::troupe::kernels::emulated::mask_storeu_ps
#define _mm512_scalef_ps ::troupe::kernels::emulated::scalef_ps
