// Attention with a running soft-max (Milakov and Gimelshein, 2018; FlashAttention, Dao et al., 2022) over tiles of 64
// positions. Tile t is positions 64 t .. 64 t + 63 for every caller, and the order of operations for one (query, head)
// is tile after tile from position 0: it depends on how many positions the query sees and on nothing else.
//
// Up to six (query, head) pairs that share a kv head go together, so that a vector of K or V is loaded and widened once
// for all of them. Cost for a pair: 4 * head_dim operations a position.
#include "kernels/ops/attention.hpp"

#include "base/assert.hpp"
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/unrolled.hpp"
#include "kernels/cpu/avx2/vector_math.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

constexpr std::uint32_t positions = 64;  // of a tile: a multiple of a block
constexpr int most_pairs = 6;            // 12 sums, 2 vectors of K or V, 1 broadcast: 15 of 16 registers

/// One (query, head) on its way through the tiles.
struct pair_state {
  const float* q;
  float* out;                // (head_dim), the weighted sum of V so far
  std::uint32_t begin, end;  // positions this query sees
  __m256 largest;            // score so far, in every lane
  __m256 total;              // of exp(score - largest), eight sums by position modulo 8
};

/// Positions of one tile that are seen, counted from the tile's first.
struct tile_range {
  std::uint32_t begin, end;

  friend bool operator==(const tile_range&, const tile_range&) = default;
  bool empty() const { return begin >= end; }
};

struct element_f32 {
  static constexpr std::size_t bytes = 4;
  static __m256 load(const std::byte* p) { return _mm256_loadu_ps(reinterpret_cast<const float*>(p)); }
};
struct element_f16 {
  static constexpr std::size_t bytes = 2;
  static __m256 load(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
};

/// Asks for the cache line at p.
[[gnu::always_inline]] inline void prefetch(const std::byte* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

/// Scores of Blocks neighbouring blocks for Pairs pairs: each is one chain of FMAs over head_dim in order. Meanwhile
/// the same places of v_blocks, a head of V being as long as one of K, are on their way from memory. scores: (Pairs,
/// positions)
template <class Element, int Pairs, int Blocks>
void score_blocks(const pair_state* pairs, const std::byte* const* k_blocks, const std::byte* const* v_blocks,
                  std::size_t head_at, std::uint32_t head_dim, __m256 scale, float* scores) {
  constexpr std::size_t half = 8 * Element::bytes;
  __m256 sums[Pairs][Blocks][2];
  unrolled<Pairs>(
      [&](auto p) { unrolled<Blocks>([&](auto b) { sums[p][b][0] = sums[p][b][1] = _mm256_setzero_ps(); }); });
  for (std::uint32_t d = 0; d < head_dim; ++d) {
    const std::size_t at = head_at + d * 2 * half;
    unrolled<Blocks>([&](auto b) {
      if (at % 64 == 0) prefetch(v_blocks[b] + at);
      const __m256 low = Element::load(k_blocks[b] + at);
      const __m256 high = Element::load(k_blocks[b] + at + half);
      unrolled<Pairs>([&](auto p) {
        const __m256 q = _mm256_broadcast_ss(pairs[p].q + d);
        sums[p][b][0] = _mm256_fmadd_ps(low, q, sums[p][b][0]);
        sums[p][b][1] = _mm256_fmadd_ps(high, q, sums[p][b][1]);
      });
    });
  }
  unrolled<Pairs>([&](auto p) {
    unrolled<Blocks>([&](auto b) {
      float* to = scores + p * positions + b * kv_block_tokens;
      _mm256_store_ps(to, _mm256_mul_ps(sums[p][b][0], scale));
      _mm256_store_ps(to + 8, _mm256_mul_ps(sums[p][b][1], scale));
    });
  });
}

/// Turns the scores of one pair's tile into exp(score - largest), counts them, and rescales what came before.
void soften(pair_state& pair, tile_range seen, std::uint32_t n_padded, std::uint32_t head_dim, float* scores) {
  // Slots outside hold anything, NaNs too. As minus infinity they become exact zeros.
  for (std::uint32_t t = 0; t < seen.begin; ++t)
    scores[t] = -__builtin_huge_valf();
  for (std::uint32_t t = seen.end; t < n_padded; ++t)
    scores[t] = -__builtin_huge_valf();
  __m256 largest = _mm256_load_ps(scores);
  for (std::uint32_t t = 8; t < n_padded; t += 8)
    largest = _mm256_max_ps(largest, _mm256_load_ps(scores + t));
  largest = _mm256_max_ps(pair.largest, largest_of_lanes(largest));
  const __m256 rescale = exponential(_mm256_sub_ps(pair.largest, largest));
  __m256 total = _mm256_mul_ps(pair.total, rescale);
  for (std::uint32_t t = 0; t < n_padded; t += 8) {
    const __m256 e = exponential(_mm256_sub_ps(_mm256_load_ps(scores + t), largest));
    _mm256_store_ps(scores + t, e);
    total = _mm256_add_ps(total, e);
  }
  for (std::uint32_t d = 0; d < head_dim; d += 8)
    _mm256_storeu_ps(pair.out + d, _mm256_mul_ps(_mm256_loadu_ps(pair.out + d), rescale));
  pair.largest = largest;
  pair.total = total;
}

/// out += weight[t] * V[t] for all t seen, in order, Vectors * 8 elements from `first` on.
template <class Element, int Pairs, int Vectors>
void add_values(pair_state* pairs, const std::byte* const* v_blocks, const std::byte* const* next_k_blocks,
                std::size_t head_at, std::uint32_t head_dim, std::uint32_t first, tile_range seen,
                const float* weights) {
  __m256 sums[Pairs][Vectors];
  unrolled<Pairs>(
      [&](auto p) { unrolled<Vectors>([&](auto v) { sums[p][v] = _mm256_loadu_ps(pairs[p].out + first + 8 * v); }); });
  const std::size_t row = head_dim * Element::bytes;
  for (std::uint32_t begin = seen.begin; begin < seen.end;) {
    const std::uint32_t block = begin / kv_block_tokens;
    const std::size_t offset = head_at + first * Element::bytes + begin % kv_block_tokens * row;
    const std::byte* at = v_blocks[block] + offset;
    const std::byte* next = next_k_blocks[block] + offset;
    const std::uint32_t block_end = (block + 1) * kv_block_tokens;
    const std::uint32_t end = seen.end < block_end ? seen.end : block_end;
    for (std::uint32_t t = begin; t < end; ++t) {
      __m256 values[Vectors];
      unrolled<(Vectors * 8 * Element::bytes + 63) / 64>([&](auto line) { prefetch(next + 64 * line); });
      next += row;
      unrolled<Vectors>([&](auto v) { values[v] = Element::load(at + 8 * v * Element::bytes); });
      unrolled<Pairs>([&](auto p) {
        const __m256 weight = _mm256_broadcast_ss(weights + p * positions + t);
        unrolled<Vectors>([&](auto v) { sums[p][v] = _mm256_fmadd_ps(values[v], weight, sums[p][v]); });
      });
      at += row;
    }
    begin = end;
  }
  unrolled<Pairs>(
      [&](auto p) { unrolled<Vectors>([&](auto v) { _mm256_storeu_ps(pairs[p].out + first + 8 * v, sums[p][v]); }); });
}

/// One tile for pairs that all see the same of it.
template <class Element, int Pairs>
void attend_tile(const attention_args& args, pair_state* pairs, std::uint32_t tile, tile_range seen) {
  // Enough blocks at once that the chains of FMAs fill their latency.
  constexpr int together = Pairs == 1 ? 4 : Pairs <= 3 ? 2 : 1;
  constexpr int vectors = Pairs == 1 ? 8 : Pairs <= 3 ? 4 : 2;
  alignas(32) float scores[Pairs * positions];
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::size_t head_at = std::size_t{args.kv_head} * head_dim * kv_block_tokens * Element::bytes;
  const std::byte* const* k_blocks = args.k_blocks + std::size_t{tile} * (positions / kv_block_tokens);
  const std::byte* const* v_blocks = args.v_blocks + std::size_t{tile} * (positions / kv_block_tokens);
  const std::uint32_t n_blocks = (seen.end + kv_block_tokens - 1) / kv_block_tokens;
  const __m256 scale = _mm256_set1_ps(args.scale);
  // What comes after this tile; this tile again where nothing does.
  const bool last = (tile + 2) * positions > args.first_position + args.n_queries;
  const std::byte* const* next_k_blocks = last ? k_blocks : k_blocks + positions / kv_block_tokens;

  std::uint32_t b = seen.begin / kv_block_tokens;
  for (; b + together <= n_blocks; b += together)
    score_blocks<Element, Pairs, together>(pairs, k_blocks + b, v_blocks + b, head_at, head_dim, scale,
                                           scores + b * kv_block_tokens);
  for (; b < n_blocks; ++b)
    score_blocks<Element, Pairs, 1>(pairs, k_blocks + b, v_blocks + b, head_at, head_dim, scale,
                                    scores + b * kv_block_tokens);
  for (std::uint32_t p = 0; p < Pairs; ++p)
    soften(pairs[p], seen, n_blocks * kv_block_tokens, head_dim, scores + p * positions);
  std::uint32_t d = 0;
  for (; d + 8 * vectors <= head_dim; d += 8 * vectors)
    add_values<Element, Pairs, vectors>(pairs, v_blocks, next_k_blocks, head_at, head_dim, d, seen, scores);
  for (; d < head_dim; d += 8)
    add_values<Element, Pairs, 1>(pairs, v_blocks, next_k_blocks, head_at, head_dim, d, seen, scores);
}

template <class Element, int Pairs = most_pairs>
void attend_tile(const attention_args& args, pair_state* pairs, std::uint32_t n_pairs, std::uint32_t tile,
                 tile_range seen) {
  if constexpr (Pairs > 0) {
    if (n_pairs == Pairs) {
      attend_tile<Element, Pairs>(args, pairs, tile, seen);
    } else {
      attend_tile<Element, Pairs - 1>(args, pairs, n_pairs, tile, seen);
    }
  }
}

/// attention_args has this too, but out of line it would be code for AVX2 that others may link.
std::uint32_t first_visible(const attention_args& args, std::uint32_t position) {
  return args.window != 0 && position >= args.window ? position - args.window + 1 : 0;
}

tile_range seen_in_tile(const pair_state& pair, std::uint32_t tile) {
  const std::uint32_t before = tile * positions;
  const auto inside = [&](std::uint32_t position) {
    if (position <= before) return 0u;
    return position - before < positions ? position - before : positions;
  };
  return {inside(pair.begin), inside(pair.end)};
}

/// Up to most_pairs pairs, in order of their queries, through all of their tiles.
template <class Element>
void attend(const attention_args& args, pair_state* pairs, std::uint32_t n_pairs) {
  for (std::uint32_t tile = pairs[0].begin / positions; tile * positions < pairs[n_pairs - 1].end; ++tile) {
    // Together where all see alike; at the ragged ends, query by query.
    for (std::uint32_t first = 0; first < n_pairs;) {
      const tile_range seen = seen_in_tile(pairs[first], tile);
      std::uint32_t last = first + 1;
      while (last < n_pairs && seen_in_tile(pairs[last], tile) == seen)
        ++last;
      if (!seen.empty()) attend_tile<Element>(args, pairs + first, last - first, tile, seen);
      first = last;
    }
  }
}

/// Takes the pairs of a call six at a time.
template <class Element>
void attend_all(const attention_args& args) {
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::size_t n_pairs = std::size_t{args.n_queries} * args.n_query_heads;
  for (std::size_t first = 0; first < n_pairs; first += most_pairs) {
    pair_state pairs[most_pairs];
    const std::uint32_t n = n_pairs - first < most_pairs ? static_cast<std::uint32_t>(n_pairs - first) : most_pairs;
    for (std::uint32_t p = 0; p < n; ++p) {
      const auto query = static_cast<std::uint32_t>((first + p) / args.n_query_heads);
      const std::size_t head = std::size_t{args.kv_head} * args.n_query_heads + (first + p) % args.n_query_heads;
      pairs[p].q = args.q + query * args.q_stride + head * head_dim;
      pairs[p].out = args.out + query * args.out_stride + head * head_dim;
      pairs[p].begin = first_visible(args, args.first_position + query);
      pairs[p].end = args.first_position + query + 1;
      pairs[p].largest = _mm256_set1_ps(-__builtin_huge_valf());
      pairs[p].total = _mm256_setzero_ps();
      for (std::uint32_t d = 0; d < head_dim; d += 8)
        _mm256_storeu_ps(pairs[p].out + d, _mm256_setzero_ps());
    }
    attend<Element>(args, pairs, n);
    for (std::uint32_t p = 0; p < n; ++p) {
      const __m256 inverse = _mm256_set1_ps(1.0f / sum_of_lanes(pairs[p].total));
      for (std::uint32_t d = 0; d < head_dim; d += 8)
        _mm256_storeu_ps(pairs[p].out + d, _mm256_mul_ps(_mm256_loadu_ps(pairs[p].out + d), inverse));
    }
  }
}

void store_f16(const float* x, std::byte* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(_mm256_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace

void attention(const attention_args& args) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  TROUPE_ASSERT(args.n_query_heads > 0 && args.n_query_heads <= max_query_heads, "1 to 32 query heads share a kv head");
  if (args.layout.type == kv_type::f16) {
    attend_all<element_f16>(args);
  } else {
    attend_all<element_f32>(args);
  }
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
