#include "kernels/ops/attention.hpp"

#include "base/assert.hpp"
#include "kernels/cpu/avx2/attention_loop.hpp"
#include "kernels/cpu/avx2/functions.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

void store_f16(const float* x, std::byte* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(_mm256_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT));
}

/// Largest magnitude of a group's n elements, a multiple of 8. What is no number does not count.
float largest_of_group(const float* x, std::uint32_t n) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256 largest = _mm256_setzero_ps();
  for (std::uint32_t i = 0; i < n; i += 8)
    largest = _mm256_max_ps(_mm256_and_ps(_mm256_loadu_ps(x + i), magnitude), largest);
  return _mm256_cvtss_f32(largest_of_lanes(largest));
}

/// 0, or NaN where an element is no number: a group's d must not hide it.
float spoiled(const float* x, std::uint32_t n) {
  __m256 sum = _mm256_setzero_ps();
  for (std::uint32_t i = 0; i < n; i += 8)
    sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_setzero_ps()));
  return sum_of_lanes(sum);
}

/// Eight codes of x * factor.
void store_codes(const float* x, float factor, std::byte* to) {
  const __m256i codes = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(factor)));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}

/// One head of one position. to: where dimension 0 goes, further ones `stride` elements apart; d, first_d and d_stride
/// the same for what q8_0 multiplies its codes by, in floats.
void store_head(const kv_layout& layout, const float* x, std::byte* to, std::size_t stride, std::byte* d,
                std::size_t first_d, std::size_t d_stride) {
  const std::size_t bytes = element_bytes(layout.type);
  float factor = 0;
  for (std::uint32_t i = 0; i < layout.head_dim; i += 8) {
    std::byte eight[32];
    if (layout.type == kv_type::q8_0 && i % kv_group == 0) {
      const std::uint32_t n = layout.head_dim - i < kv_group ? layout.head_dim - i : kv_group;
      const float largest = largest_of_group(x + i, n);
      const float of_group = largest / 127.0f + spoiled(x + i, n);
      factor = largest > 0 ? 127.0f / largest : 0.0f;
      __builtin_memcpy(d + (first_d + i / kv_group * d_stride) * sizeof(float), &of_group, sizeof(float));
    }
    if (layout.type == kv_type::q8_0)
      store_codes(x + i, factor, eight);
    else if (layout.type == kv_type::f16)
      store_f16(x + i, eight);
    else
      __builtin_memcpy(eight, x + i, sizeof eight);
    if (stride == 1) {
      __builtin_memcpy(to + i * bytes, eight, 8 * bytes);
      continue;
    }
    for (std::size_t lane = 0; lane < 8; ++lane)  // one element a row of the transposed block
      __builtin_memcpy(to + (i + lane) * stride * bytes, eight + lane * bytes, bytes);
  }
}

}  // namespace

void attention(const attention_args& args) {
  attend_all<ymm_floats>(args);
}

void attention_part(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride) {
  attend_part<ymm_floats>(args, segment, parts, parts_stride);
}

void combine_attention(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out) {
  combine<ymm_floats>(parts, n_parts, head_dim, out);
}

void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block) {
  TROUPE_ASSERT(slot < kv_block_tokens, "a block has no such slot");
  const std::size_t bytes = element_bytes(layout.type);
  for (std::size_t h = 0; h < layout.n_kv_heads; ++h) {
    std::byte* k_head = k_block + h * layout.head_bytes();
    std::byte* v_head = v_block + h * layout.head_bytes();
    store_head(layout, k + h * layout.head_dim, k_head + slot * bytes, kv_block_tokens, k_head + layout.code_bytes(),
               slot, kv_block_tokens);
    store_head(layout, v + h * layout.head_dim, v_head + slot * layout.head_dim * bytes, 1,
               v_head + layout.code_bytes(), slot * layout.n_groups(), 1);
  }
}

}  // namespace troupe::kernels::avx2
