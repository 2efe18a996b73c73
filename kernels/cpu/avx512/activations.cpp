// Activations to 8 bits: for each 32, d = largest / 127 and q = x / d to the nearest, as AVX2's.
//
// |x * (127 / largest)| is at most 127 (1 + 2^-23), which rounds to 127: -128 never appears.
#include "kernels/cpu/avx512/activations.hpp"

#include "base/assert.hpp"
#include "kernels/cpu/avx2/residuals.hpp"
#include "kernels/cpu/avx512/functions.hpp"
#include "kernels/cpu/avx512/intrinsics.hpp"

namespace troupe::kernels::avx512 {
namespace {

using avx2::block;

/// Below this a block counts as zero: its step would leave the normal range of a float, and its inverse all range.
constexpr float smallest = 1.5e-36f;

/// Largest magnitude of 32 floats, compared as integers so that infinities and NaNs come out on top.
std::uint32_t largest_magnitude(__m512 low, __m512 high) {
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  const __m512i sixteen = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(low), mask),
                                           _mm512_and_si512(_mm512_castps_si512(high), mask));
  const __m256i eight = _mm256_max_epi32(_mm512_castsi512_si256(sixteen), _mm512_extracti64x4_epi64(sixteen, 1));
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

int sum_of_bytes(__m128i q) {
  const __m128i pairs = _mm_maddubs_epi16(_mm_set1_epi8(1), q);
  __m128i four = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

/// An infinity or a NaN makes everything that reads the block a NaN, in this row and in no other.
void quantize_block(const float* x, activation_block& to) {
  to = {};
  const __m512 low = _mm512_loadu_ps(x);
  const __m512 high = _mm512_loadu_ps(x + 16);
  const std::uint32_t bits = largest_magnitude(low, high);
  const float largest = __builtin_bit_cast(float, bits);
  const bool finite = bits < 0x7f800000u;
  if (!finite || largest < smallest) {
    to.d = to.d_sum = finite ? 0.0f : __builtin_nanf("");
    return;
  }
  to.d = largest / 127.0f;
  const __m512 inverse = _mm512_set1_ps(127.0f / largest);
  const __m128i first = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
  const __m128i second = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to.q), first);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to.q + 16), second);
  const int sums[2] = {sum_of_bytes(first), sum_of_bytes(second)};
  const int sum = sums[0] + sums[1];
  to.d_sum = to.d * static_cast<float>(sum);
  to.minus_8_sum = -8 * sum;
  to.minus_16_sum = -16 * sum;
  to.minus_128_sum = -128 * sum;
  to.minus_32_sum[0] = -32 * sums[0];
  to.minus_32_sum[1] = -32 * sums[1];
}

/// left_out = x - d q
void subtract_block(const float* x, const activation_block& from, float* left_out) {
  for (std::uint32_t i = 0; i < block; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from.q + i));
    const __m512 q = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    _mm512_storeu_ps(left_out + i, _mm512_fnmadd_ps(q, _mm512_set1_ps(from.d), _mm512_loadu_ps(x + i)));
  }
}

void quantize_row(const float* x, std::uint32_t n_in, activation_block* blocks) {
  const std::uint32_t n_blocks = n_in / block;
  for (std::uint32_t b = 0; b < n_blocks; ++b)
    quantize_block(x + b * block, blocks[b]);
  activation_block* next = blocks + n_blocks;
  blocks[0].residual = avx2::for_each_residual(
      n_in, [&](std::uint32_t b) { return blocks[b].d; },
      [&](std::uint32_t b) {
        float left_out[block];
        subtract_block(x + b * block, blocks[b], left_out);
        quantize_block(left_out, *next);
        next->residual = b;
        ++next;
      });
}

}  // namespace

std::size_t activation_bytes(activation_format format, std::uint32_t n_in) {
  if (format == activation_format::q8) return (n_in / block + avx2::most_residuals(n_in)) * sizeof(activation_block);
  return (n_in * sizeof(float) + 63) / 64 * 64;
}

void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations) {
  TROUPE_ASSERT(format == activation_format::f32 || n_in % block == 0, "activations q8 come in whole blocks");
  const std::size_t stride = activation_bytes(format, n_in);
  for (std::size_t r = 0; r < n_rows; ++r) {
    const float* from = x + r * x_stride;
    std::byte* to = activations + r * stride;
    if (format == activation_format::f32) {
      __builtin_memcpy(to, from, n_in * sizeof(float));
      continue;
    }
    quantize_row(from, n_in, reinterpret_cast<activation_block*>(to));
  }
}

}  // namespace troupe::kernels::avx512
