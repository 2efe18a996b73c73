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

float load_float(const std::byte* p) {
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Where an element of one head lies: its code, and its d in q8_0, counted in elements and in floats.
struct place {
  std::size_t element;
  std::size_t d;
};

place place_in_k(std::uint32_t slot, std::uint32_t dimension) {
  return {std::size_t{dimension} * kv_block_tokens + slot, std::size_t{dimension} / kv_group * kv_block_tokens + slot};
}
place place_in_v(const kv_layout& layout, std::uint32_t slot, std::uint32_t dimension) {
  return {std::size_t{slot} * layout.head_dim + dimension, slot * layout.n_groups() + dimension / kv_group};
}

double load(const kv_layout& layout, const std::byte* head, place at) {
  if (layout.type == kv_type::f32) return load_float(head + 4 * at.element);
  if (layout.type == kv_type::q8_0)
    return double{load_float(head + layout.code_bytes() + 4 * at.d)} * static_cast<std::int8_t>(head[at.element]);
  std::uint16_t value;
  std::memcpy(&value, head + 2 * at.element, sizeof value);
  return f16_to_float(value);
}

/// x: in q8_0 times 1 / d.
void store(const kv_layout& layout, std::byte* head, place at, float x) {
  if (layout.type == kv_type::f32) {
    std::memcpy(head + 4 * at.element, &x, sizeof x);
  } else if (layout.type == kv_type::q8_0) {
    // What is no number becomes what the conversion of vectors makes of it.
    head[at.element] = static_cast<std::byte>(std::isfinite(x) ? static_cast<int>(std::nearbyint(x)) : -128);
  } else {
    const std::uint16_t half = float_to_f16(x);
    std::memcpy(head + 2 * at.element, &half, sizeof half);
  }
}

float largest_of_group(const float* x, std::uint32_t n) {
  float largest = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    if (std::abs(x[i]) > largest) largest = std::abs(x[i]);
  return largest;
}

/// 0, or NaN where an element is no number: a group's d must not hide it.
float spoiled(const float* x, std::uint32_t n) {
  float sum = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    sum += x[i] * 0.0f;
  return sum;
}

/// One head of one position. Place: where dimension d goes.
template <class Place>
void store_head(const kv_layout& layout, const float* x, std::byte* head, const Place& place_of) {
  for (std::uint32_t begin = 0; begin < layout.head_dim; begin += kv_group) {
    const std::uint32_t end = std::min(layout.head_dim, begin + kv_group);
    float factor = 1.0f;
    if (layout.type == kv_type::q8_0) {
      const float largest = largest_of_group(x + begin, end - begin);
      const float d = largest / 127.0f + spoiled(x + begin, end - begin);
      factor = largest > 0 ? 127.0f / largest : 0.0f;
      std::memcpy(head + layout.code_bytes() + 4 * place_of(begin).d, &d, sizeof d);
    }
    for (std::uint32_t i = begin; i < end; ++i)
      store(layout, head, place_of(i), layout.type == kv_type::q8_0 ? x[i] * factor : x[i]);
  }
}

double score(const attention_args& args, std::uint32_t kv_head, const float* q, std::uint32_t position) {
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::byte* head = args.k_blocks[position / kv_block_tokens] + kv_head * args.layout.head_bytes();
  double sum = 0;
  for (std::uint32_t d = 0; d < head_dim; ++d)
    sum += double{q[d]} * load(args.layout, head, place_in_k(position % kv_block_tokens, d));
  return sum * double{args.scale};
}

void attend(const attention_args& args, std::uint32_t kv_head, const float* q, std::uint32_t position, float* out) {
  const std::uint32_t begin = args.first_visible(position);
  const std::uint32_t end = position + 1;
  const std::uint32_t head_dim = args.layout.head_dim;
  double largest = -std::numeric_limits<double>::infinity();
  for (std::uint32_t t = begin; t < end; ++t)
    largest = std::max(largest, score(args, kv_head, q, t));
  double sums[max_head_dim] = {};
  double total = 0;
  for (std::uint32_t t = begin; t < end; ++t) {
    const double p = std::exp(score(args, kv_head, q, t) - largest);
    total += p;
    const std::byte* head = args.v_blocks[t / kv_block_tokens] + kv_head * args.layout.head_bytes();
    for (std::uint32_t d = 0; d < head_dim; ++d)
      sums[d] += p * load(args.layout, head, place_in_v(args.layout, t % kv_block_tokens, d));
  }
  for (std::uint32_t d = 0; d < head_dim; ++d)
    out[d] = static_cast<float>(sums[d] / total);
}

}  // namespace

void store_kv(const kv_layout& layout, const float* k, const float* v, std::uint32_t slot, std::byte* k_block,
              std::byte* v_block) {
  TROUPE_ASSERT(slot < kv_block_tokens, "a block has no such slot");
  for (std::size_t h = 0; h < layout.n_kv_heads; ++h) {
    const std::size_t from = h * layout.head_dim;
    store_head(layout, k + from, k_block + h * layout.head_bytes(),
               [&](std::uint32_t d) { return place_in_k(slot, d); });
    store_head(layout, v + from, v_block + h * layout.head_bytes(),
               [&](std::uint32_t d) { return place_in_v(layout, slot, d); });
  }
}

void attention(const attention_args& args) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  const std::uint32_t begin = args.kv_head * args.n_query_heads;
  const std::uint32_t end = (args.kv_head + args.n_kv_heads) * args.n_query_heads;
  for (std::uint32_t i = 0; i < args.n_queries; ++i) {
    for (std::uint32_t head = begin; head < end; ++head) {
      const std::size_t at = std::size_t{head} * args.layout.head_dim;
      attend(args, head / args.n_query_heads, args.q + i * args.q_stride + at, args.first_position + i,
             args.out + i * args.out_stride + at);
    }
  }
}

}  // namespace troupe::kernels::plain
