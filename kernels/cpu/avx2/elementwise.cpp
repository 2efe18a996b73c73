// rms_norm, rope, silu_mul, gelu_mul and add. What is left after the whole vectors goes through the same vector code in
// a padded buffer where it rounds, so that an element's bits do not depend on where a caller cut the row.
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/vector_math.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// x / (1 + e^minus_z)
__m256 gated(__m256 x, __m256 minus_z) {
  return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), exponential(minus_z)));
}

__m256 silu(__m256 x) {
  return gated(x, _mm256_sub_ps(_mm256_setzero_ps(), x));
}

/// x / 2 (1 + tanh(z / 2)) = x / (1 + e^-z), z = 2 sqrt(2 / pi) (x + 0.044715 x^3)
__m256 gelu(__m256 x) {
  constexpr float linear = 1.5957691216057308f;
  constexpr float cubic = 0.044715f * 1.5957691216057308f;
  const __m256 factor = _mm256_fmadd_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(-cubic), _mm256_set1_ps(-linear));
  return gated(x, _mm256_mul_ps(x, factor));
}

template <class Activation>
void activate(const float* gate, const float* up, std::size_t n, float* y, Activation activation) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_mul_ps(activation(_mm256_loadu_ps(gate + i)), _mm256_loadu_ps(up + i)));
  if (i == n) return;
  const __m256i mask = lane_mask(n - i);
  const __m256 x = _mm256_maskload_ps(gate + i, mask);
  _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(activation(x), _mm256_maskload_ps(up + i, mask)));
}

/// Pairs (2i, 2i + 1): {cos, sin} lie under {a, b}.
void rotate_adjacent(float* head, std::uint32_t head_dim, const float* cosine_sine) {
  std::uint32_t i = 0;
  for (; i + 8 <= head_dim; i += 8) {
    const __m256 x = _mm256_loadu_ps(head + i);
    const __m256 turn = _mm256_loadu_ps(cosine_sine + i);
    const __m256 swapped = _mm256_mul_ps(_mm256_permute_ps(x, 0xb1), _mm256_movehdup_ps(turn));
    _mm256_storeu_ps(head + i, _mm256_fmaddsub_ps(x, _mm256_moveldup_ps(turn), swapped));
  }
  for (; i < head_dim; i += 2) {
    const float a = head[i];
    const float b = head[i + 1];
    head[i] = a * cosine_sine[i] - b * cosine_sine[i + 1];
    head[i + 1] = a * cosine_sine[i + 1] + b * cosine_sine[i];
  }
}

/// Pairs (i, i + head_dim / 2): cosines and sines are parted from eight interleaved pairs.
void rotate_halves(float* head, std::uint32_t head_dim, const float* cosine_sine) {
  const std::uint32_t pairs = head_dim / 2;
  std::uint32_t i = 0;
  for (; i + 8 <= pairs; i += 8) {
    const __m256 first = _mm256_loadu_ps(cosine_sine + 2 * i);
    const __m256 second = _mm256_loadu_ps(cosine_sine + 2 * i + 8);
    const __m256 low = _mm256_permute2f128_ps(first, second, 0x20);
    const __m256 high = _mm256_permute2f128_ps(first, second, 0x31);
    const __m256 cosine = _mm256_shuffle_ps(low, high, 0x88);
    const __m256 sine = _mm256_shuffle_ps(low, high, 0xdd);
    const __m256 a = _mm256_loadu_ps(head + i);
    const __m256 b = _mm256_loadu_ps(head + pairs + i);
    _mm256_storeu_ps(head + i, _mm256_fmsub_ps(a, cosine, _mm256_mul_ps(b, sine)));
    _mm256_storeu_ps(head + pairs + i, _mm256_fmadd_ps(b, cosine, _mm256_mul_ps(a, sine)));
  }
  for (; i < pairs; ++i) {
    const float a = head[i];
    const float b = head[pairs + i];
    head[i] = a * cosine_sine[2 * i] - b * cosine_sine[2 * i + 1];
    head[pairs + i] = a * cosine_sine[2 * i + 1] + b * cosine_sine[2 * i];
  }
}

}  // namespace

void rms_norm(const float* x, const float* weight, std::uint32_t n, float epsilon, float* y) {
  __m256 sums[4];
  for (__m256& sum : sums)
    sum = _mm256_setzero_ps();
  std::uint32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (std::uint32_t s = 0; s < 4; ++s) {
      const __m256 v = _mm256_loadu_ps(x + i + 8 * s);
      sums[s] = _mm256_fmadd_ps(v, v, sums[s]);
    }
  }
  for (; i < n; i += 8) {
    const __m256 v = _mm256_maskload_ps(x + i, lane_mask(n - i));
    sums[0] = _mm256_fmadd_ps(v, v, sums[0]);
  }
  const float squares = sum_of_lanes(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  const float inverse = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
  const __m256 factor = _mm256_set1_ps(inverse);
  for (i = 0; i < n; i += 8) {
    const __m256i mask = lane_mask(n - i);
    const __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), factor);
    _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(v, _mm256_maskload_ps(weight + i, mask)));
  }
}

void rope(float* x, std::uint32_t n_heads, std::uint32_t head_dim, rope_pairing pairing, const float* cosine_sine) {
  for (std::uint32_t h = 0; h < n_heads; ++h) {
    float* head = x + std::size_t{h} * head_dim;
    if (pairing == rope_pairing::adjacent) {
      rotate_adjacent(head, head_dim, cosine_sine);
    } else {
      rotate_halves(head, head_dim, cosine_sine);
    }
  }
}

void silu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  activate(gate, up, n, y, [](__m256 x) { return silu(x); });
}

void gelu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  activate(gate, up, n, y, [](__m256 x) { return gelu(x); });
}

void add(const float* x, std::size_t n, float* y) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  for (; i < n; ++i)
    y[i] += x[i];
}

void exponential(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += 8) {
    const __m256i mask = lane_mask(n - i);
    _mm256_maskstore_ps(y + i, mask, exponential(_mm256_maskload_ps(x + i, mask)));
  }
}

}  // namespace troupe::kernels::avx2
