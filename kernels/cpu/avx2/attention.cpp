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

}  // namespace

void attention(const attention_args& args) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  TROUPE_ASSERT(args.n_query_heads > 0 && args.n_query_heads <= max_query_heads, "1 to 32 query heads share a kv head");
  attend_all<ymm_floats>(args);
}

std::size_t attention_scratch_bytes(const kv_layout&, std::uint32_t) {
  return 0;
}

void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block) {
  TROUPE_ASSERT(slot < kv_block_tokens, "a block has no such slot");
  const std::size_t bytes = layout.type == kv_type::f16 ? 2 : 4;
  const std::size_t head_dim = layout.head_dim;
  for (std::size_t h = 0; h < layout.n_kv_heads; ++h) {
    for (std::size_t d = 0; d < head_dim; d += 8) {
      const float* k_from = k + h * head_dim + d;
      const float* v_from = v + h * head_dim + d;
      std::byte* k_to = k_block + ((h * head_dim + d) * kv_block_tokens + slot) * bytes;
      std::byte* v_to = v_block + ((h * kv_block_tokens + slot) * head_dim + d) * bytes;
      std::byte halves[16];
      if (layout.type == kv_type::f16) {
        store_f16(v_from, v_to);
        store_f16(k_from, halves);
      } else {
        __builtin_memcpy(v_to, v_from, 32);
      }
      const std::byte* source = layout.type == kv_type::f16 ? halves : reinterpret_cast<const std::byte*>(k_from);
      for (std::size_t i = 0; i < 8; ++i)  // one element a row of the transposed block
        __builtin_memcpy(k_to + i * kv_block_tokens * bytes, source + i * bytes, bytes);
    }
  }
}

}  // namespace troupe::kernels::avx2
