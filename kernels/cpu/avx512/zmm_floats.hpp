// Sixteen floats for AVX2's attention_loop.hpp.
#pragma once

#include "kernels/cpu/avx2/vector_math.hpp"
#include "kernels/cpu/avx512/vector_math.hpp"

#include <cstddef>

namespace troupe::kernels::avx512 {
namespace {

struct zmm_floats {
  using type = __m512;
  static constexpr int lanes = 16;
  static constexpr int registers = 32;

  [[gnu::always_inline]] static type all(float x) { return _mm512_set1_ps(x); }
  [[gnu::always_inline]] static type broadcast(const float* p) { return _mm512_set1_ps(*p); }
  [[gnu::always_inline]] static type load(const float* p) { return _mm512_loadu_ps(p); }
  [[gnu::always_inline]] static type load_halves(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  [[gnu::always_inline]] static type load_codes(const std::byte* p) {  // signed bytes
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  [[gnu::always_inline]] static void store(float* p, type x) { _mm512_storeu_ps(p, x); }
  [[gnu::always_inline]] static type add(type a, type b) { return _mm512_add_ps(a, b); }
  [[gnu::always_inline]] static type subtract(type a, type b) { return _mm512_sub_ps(a, b); }
  [[gnu::always_inline]] static type multiply(type a, type b) { return _mm512_mul_ps(a, b); }
  [[gnu::always_inline]] static type multiply_add(type a, type b, type c) { return _mm512_fmadd_ps(a, b, c); }
  [[gnu::always_inline]] static type larger(type a, type b) { return _mm512_max_ps(a, b); }
  [[gnu::always_inline]] static type exp(type x) { return exponential(x); }
  [[gnu::always_inline]] static float sum_of_lanes(type x) {
    return avx2::sum_of_lanes(_mm256_add_ps(low(x), _mm512_extractf32x8_ps(x, 1)));
  }
  [[gnu::always_inline]] static type largest_of_lanes(type x) {  // in every lane
    const __m256 eight = avx2::largest_of_lanes(_mm256_max_ps(low(x), _mm512_extractf32x8_ps(x, 1)));
    return _mm512_set1_ps(_mm256_cvtss_f32(eight));
  }
  [[gnu::always_inline]] static __m256 low(type x) { return _mm512_castps512_ps256(x); }  // the first eight
  [[gnu::always_inline]] static float first(type x) { return _mm256_cvtss_f32(low(x)); }
};

}  // namespace
}  // namespace troupe::kernels::avx512
