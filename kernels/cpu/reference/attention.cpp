// Two passes over the visible positions, the largest score first; everything in double. Scores are computed twice
// rather than kept, so that no length needs memory.
#include "kernels/ops/attention.hpp"

#include "base/assert.hpp"
#include "kernels/half.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace troupe::kernels::plain {
namespace {

double load(kv_type type, const std::byte* block, std::size_t index) {
  if (type == kv_type::f32) {
    float value;
    std::memcpy(&value, block + 4 * index, sizeof value);
    return value;
  }
  std::uint16_t value;
  std::memcpy(&value, block + 2 * index, sizeof value);
  return f16_to_float(value);
}

void store(kv_type type, std::byte* block, std::size_t index, float value) {
  if (type == kv_type::f32) {
    std::memcpy(block + 4 * index, &value, sizeof value);
  } else {
    const std::uint16_t half = float_to_f16(value);
    std::memcpy(block + 2 * index, &half, sizeof half);
  }
}

double score(const attention_args& args, const float* q, std::uint32_t position) {
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::byte* block = args.k_blocks[position / kv_block_tokens];
  const std::size_t first = std::size_t{args.kv_head} * head_dim * kv_block_tokens + position % kv_block_tokens;
  double sum = 0;
  for (std::uint32_t d = 0; d < head_dim; ++d)
    sum += double{q[d]} * load(args.layout.type, block, first + std::size_t{d} * kv_block_tokens);
  return sum * double{args.scale};
}

void attend(const attention_args& args, const float* q, std::uint32_t position, float* out) {
  const std::uint32_t begin = args.first_visible(position);
  const std::uint32_t end = position + 1;
  const std::uint32_t head_dim = args.layout.head_dim;
  double largest = -std::numeric_limits<double>::infinity();
  for (std::uint32_t t = begin; t < end; ++t)
    largest = std::max(largest, score(args, q, t));
  double sums[max_head_dim] = {};
  double total = 0;
  for (std::uint32_t t = begin; t < end; ++t) {
    const double p = std::exp(score(args, q, t) - largest);
    total += p;
    const std::byte* block = args.v_blocks[t / kv_block_tokens];
    const std::size_t first = (std::size_t{args.kv_head} * kv_block_tokens + t % kv_block_tokens) * head_dim;
    for (std::uint32_t d = 0; d < head_dim; ++d)
      sums[d] += p * load(args.layout.type, block, first + d);
  }
  for (std::uint32_t d = 0; d < head_dim; ++d)
    out[d] = static_cast<float>(sums[d] / total);
}

}  // namespace

void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block) {
  TROUPE_ASSERT(slot < kv_block_tokens, "a block has no such slot");
  for (std::size_t h = 0; h < layout.n_kv_heads; ++h) {
    for (std::size_t d = 0; d < layout.head_dim; ++d) {
      const std::size_t from = h * layout.head_dim + d;
      store(layout.type, k_block, from * kv_block_tokens + slot, k[from]);
      store(layout.type, v_block, (h * kv_block_tokens + slot) * layout.head_dim + d, v[from]);
    }
  }
}

void attention(const attention_args& args) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  for (std::uint32_t i = 0; i < args.n_queries; ++i) {
    for (std::uint32_t h = 0; h < args.n_query_heads; ++h) {
      const std::size_t head = (std::size_t{args.kv_head} * args.n_query_heads + h) * args.layout.head_dim;
      attend(args, args.q + i * args.q_stride + head, args.first_position + i, args.out + i * args.out_stride + head);
    }
  }
}

std::size_t attention_scratch_bytes(const kv_layout&, std::uint32_t) {
  return 0;
}

}  // namespace troupe::kernels::plain
