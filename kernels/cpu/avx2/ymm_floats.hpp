// Eight floats for attention_loop.hpp.
#pragma once

#include "kernels/cpu/avx2/vector_math.hpp"

#include <cstddef>

namespace troupe::kernels::avx2 {
namespace {

struct ymm_floats {
  using type = __m256;
  static constexpr int lanes = 8;
  static constexpr int registers = 16;

  [[gnu::always_inline]] static type all(float x) { return _mm256_set1_ps(x); }
  /// Not all(*p): the compiler would keep it for its next use, and registers are short.
  [[gnu::always_inline]] static type broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  [[gnu::always_inline]] static type load(const float* p) { return _mm256_loadu_ps(p); }
  [[gnu::always_inline]] static type load_halves(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  [[gnu::always_inline]] static type load_codes(const std::byte* p) {  // signed bytes
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  [[gnu::always_inline]] static void store(float* p, type x) { _mm256_storeu_ps(p, x); }
  [[gnu::always_inline]] static type add(type a, type b) { return _mm256_add_ps(a, b); }
  [[gnu::always_inline]] static type subtract(type a, type b) { return _mm256_sub_ps(a, b); }
  [[gnu::always_inline]] static type multiply(type a, type b) { return _mm256_mul_ps(a, b); }
  [[gnu::always_inline]] static type multiply_add(type a, type b, type c) { return _mm256_fmadd_ps(a, b, c); }
  [[gnu::always_inline]] static type larger(type a, type b) { return _mm256_max_ps(a, b); }
  [[gnu::always_inline]] static type exp(type x) { return exponential(x); }
  [[gnu::always_inline]] static float sum_of_lanes(type x) { return avx2::sum_of_lanes(x); }
  [[gnu::always_inline]] static type largest_of_lanes(type x) { return avx2::largest_of_lanes(x); }  // in every lane
  [[gnu::always_inline]] static __m256 low(type x) { return x; }                                     // the first eight
  [[gnu::always_inline]] static float first(type x) { return _mm256_cvtss_f32(x); }
};

}  // namespace
}  // namespace troupe::kernels::avx2
