// The upper tail of the normal distribution, Q(|x|) = t p(t) e^(-x^2 / 2) with t = 1 / (1 + c |x|), c = 0.35 / sqrt(2),
// p the polynomial of degree 8 of least relative error (7.4e-8) for |x| up to 15. It is small where it is the result
// and taken from 1 where it is not, so nothing cancels. With the rounding of each step Q is off by 8 units of 2^-24,
// beside that of the exponent. What is left after whole vectors goes through the same vector code, so that an element's
// bits do not depend on where a caller cut the row.
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/vector_math.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

// Of p, from the second highest power on.
constexpr float coefficients[] = {-0x1.23b436p-3f, 0x1.277202p-2f, -0x1.9ad4dp-3f, 0x1.9996fcp-3f,
                                  0x1.0f4a98p-5f,  0x1.a4de2cp-4f, 0x1.8f8c14p-4f, 0x1.94a7cp-4f};
constexpr float leading = 0x1.6d92e6p-6f;

__m256 exact_gelu(__m256 x) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
  const __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(size, _mm256_set1_ps(0x1.fadaa8p-3f), one));
  __m256 p = _mm256_set1_ps(leading);
  for (const float coefficient : coefficients)
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(coefficient));
  const __m256 power = exponential(_mm256_mul_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(-0.5f)));
  const __m256 tail = _mm256_mul_ps(_mm256_mul_ps(p, t), power);
  // Phi(x): the tail itself below 0, what it leaves of 1 above.
  return _mm256_mul_ps(x, _mm256_blendv_ps(_mm256_sub_ps(one, tail), tail, x));
}

}  // namespace

void gelu(const float* x, std::size_t n, float* y) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, exact_gelu(_mm256_loadu_ps(x + i)));
  if (i == n) return;
  const __m256i mask = lane_mask(n - i);
  _mm256_maskstore_ps(y + i, mask, exact_gelu(_mm256_maskload_ps(x + i, mask)));
}

}  // namespace troupe::kernels::avx2
