// Activations to 8 bits: for each 32, d = largest / 127 and q = x / d to the nearest. About 1 ns a block.
//
// |x * (127 / largest)| is at most 127 (1 + 2^-23), which rounds to 127: -128 never appears, and the 16-bit sums of the
// kernels rest on that.
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/residuals.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// Below this a block counts as zero: its step would leave the normal range of a float, and its inverse all range.
constexpr float smallest = 1.5e-36f;

/// Largest magnitude of 32 floats, compared as integers so that infinities and NaNs come out on top.
std::uint32_t largest_magnitude(const __m256 x[4]) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_and_si256(_mm256_castps_si256(x[0]), mask);
  for (int i = 1; i < 4; ++i)
    largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(x[i]), mask));
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

int sum_of_bytes(__m256i q) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
  const __m256i sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

void quantize_block(const float* x, std::byte* q, float* scales) {
  __m256 v[4];
  for (int i = 0; i < 4; ++i)
    v[i] = _mm256_loadu_ps(x + 8 * i);
  const std::uint32_t bits = largest_magnitude(v);
  const float largest = __builtin_bit_cast(float, bits);
  const bool finite = bits < 0x7f800000u;
  if (!finite || largest < smallest) {
    // An infinity or a NaN makes everything that reads this block a NaN, in this row and in no other.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_setzero_si256());
    scales[0] = scales[1] = finite ? 0.0f : __builtin_nanf("");
    return;
  }
  const float d = largest / 127.0f;
  const __m256 inverse = _mm256_set1_ps(127.0f / largest);
  __m256i n[4];
  for (int i = 0; i < 4; ++i)
    n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
  // The packs work in halves of 128 bits and leave the groups of four in the order 0 2 4 6 1 3 5 7.
  const __m256i mixed = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
  const __m256i bytes = _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  scales[0] = d;
  scales[1] = d * static_cast<float>(sum_of_bytes(bytes));
}

/// left_out = x - d q
void subtract_block(const float* x, float d, const std::byte* q, float* left_out) {
  for (std::uint32_t i = 0; i < block; i += 8) {
    const __m256i codes = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(q + i)));
    _mm256_storeu_ps(left_out + i,
                     _mm256_fnmadd_ps(_mm256_cvtepi32_ps(codes), _mm256_set1_ps(d), _mm256_loadu_ps(x + i)));
  }
}

}  // namespace

void quantize_row(const float* x, std::uint32_t n_in, std::byte* activations) {
  auto* scales = reinterpret_cast<float*>(activations + n_in);
  const std::uint32_t n_blocks = n_in / block;
  for (std::uint32_t b = 0; b < n_blocks; ++b)
    quantize_block(x + b * block, activations + b * block, scales + 2 * b);
  auto* n_residuals = reinterpret_cast<std::uint32_t*>(scales + 2 * n_blocks);
  auto* next = reinterpret_cast<residual_block*>(n_residuals + 1);
  *n_residuals = for_each_residual(
      n_in, [&](std::uint32_t b) { return scales[2 * b]; },
      [&](std::uint32_t b) {
        float left_out[block];
        subtract_block(x + b * block, scales[2 * b], activations + b * block, left_out);
        float scale[2];
        quantize_block(left_out, reinterpret_cast<std::byte*>(next->q), scale);
        next->d = scale[0];
        next->d_sum = scale[1];
        next->block = b;
        ++next;
      });
}

}  // namespace troupe::kernels::avx2
