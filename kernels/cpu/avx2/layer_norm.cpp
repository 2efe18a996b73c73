// Three passes over a row that lies in the first-level cache: its mean, its variance around that, its result. Four sums
// of eight lanes, added in a fixed order.
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/vector_math.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// The sum over i of term(8 elements from i on, the lanes that exist); term gives 0 in the others.
template <class Term>
float sum(std::uint32_t n, const Term& term) {
  __m256 sums[4];
  for (__m256& one : sums)
    one = _mm256_setzero_ps();
  std::uint32_t i = 0;
  for (; i + 32 <= n; i += 32)
    for (std::uint32_t s = 0; s < 4; ++s)
      sums[s] = _mm256_add_ps(sums[s], term(i + 8 * s, _mm256_set1_epi32(-1)));
  for (; i < n; i += 8)
    sums[0] = _mm256_add_ps(sums[0], term(i, lane_mask(n - i)));
  return sum_of_lanes(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
}

}  // namespace

void layer_norm(const float* x, const float* weight, const float* bias, std::uint32_t n, float epsilon, float* y) {
  const float total = sum(n, [&](std::uint32_t i, __m256i mask) { return _mm256_maskload_ps(x + i, mask); });
  const __m256 mean = _mm256_set1_ps(total / static_cast<float>(n));
  const float squares = sum(n, [&](std::uint32_t i, __m256i mask) {
    const __m256 distance = _mm256_sub_ps(_mm256_maskload_ps(x + i, mask), mean);
    return _mm256_and_ps(_mm256_mul_ps(distance, distance), _mm256_castsi256_ps(mask));
  });
  const __m256 factor = _mm256_set1_ps(1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon));
  for (std::uint32_t i = 0; i < n; i += 8) {
    const __m256i mask = lane_mask(n - i);
    const __m256 normed = _mm256_mul_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), mean), factor);
    const __m256 scaled =
        _mm256_fmadd_ps(normed, _mm256_maskload_ps(weight + i, mask), _mm256_maskload_ps(bias + i, mask));
    _mm256_maskstore_ps(y + i, mask, scaled);
  }
}

}  // namespace troupe::kernels::avx2
