#include "kernels/ops/softmax.hpp"

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/vector_math.hpp"

#include <immintrin.h>
#include <math.h>

namespace troupe::kernels::avx2 {
namespace {

constexpr float infinity = __builtin_huge_valf();

/// The largest number of a row, NaNs left out; minus infinity when there is none.
float largest_number(const float* x, std::size_t n) {
  // max_ps gives its second argument when one is a NaN, so that the largest so far stands.
  __m256 largest[4];
  for (__m256& one : largest)
    one = _mm256_set1_ps(-infinity);
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32)
    for (std::size_t s = 0; s < 4; ++s)
      largest[s] = _mm256_max_ps(_mm256_loadu_ps(x + i + 8 * s), largest[s]);
  float result = _mm256_cvtss_f32(
      largest_of_lanes(_mm256_max_ps(_mm256_max_ps(largest[0], largest[1]), _mm256_max_ps(largest[2], largest[3]))));
  for (; i < n; ++i)
    if (x[i] > result) result = x[i];
  return result;
}

/// The sum of the lanes of two vectors of double, in a fixed order.
double sum_of_doubles(__m256d a, __m256d b) {
  double lanes[4];
  _mm256_storeu_pd(lanes, _mm256_add_pd(a, b));
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

}  // namespace

std::uint32_t argmax(const float* x, std::size_t n) {
  const float largest = largest_number(x, n);
  const __m256 wanted = _mm256_set1_ps(largest);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int equal = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + i), wanted, _CMP_EQ_OQ));
    if (equal != 0) return static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(equal));
  }
  for (; i < n; ++i)
    if (x[i] == largest) return static_cast<std::uint32_t>(i);
  return 0;  // nothing, or NaNs only
}

float log_sum_exp(const float* x, std::size_t n) {
  const float largest = largest_number(x, n);
  if (largest == infinity || n == 0) {
    for (std::size_t i = 0; i < n; ++i)
      if (x[i] != x[i]) return x[i];
    return largest;
  }
  // Of minus infinities only, or beside NaNs, any finite number serves to subtract.
  const float subtracted = largest == -infinity ? 0.0f : largest;
  const __m256 shift = _mm256_set1_ps(subtracted);
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
  const auto accumulate = [&](__m256 v) {
    const __m256 e = exponential(_mm256_sub_ps(v, shift));
    low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(e)));
    high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(e, 1)));
  };
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    accumulate(_mm256_loadu_ps(x + i));
  if (i < n) {
    float rest[8];
    for (std::size_t k = 0; k < 8; ++k)
      rest[k] = i + k < n ? x[i + k] : -infinity;
    accumulate(_mm256_loadu_ps(rest));
  }
  return static_cast<float>(static_cast<double>(subtracted) + ::log(sum_of_doubles(low, high)));
}

}  // namespace troupe::kernels::avx2
