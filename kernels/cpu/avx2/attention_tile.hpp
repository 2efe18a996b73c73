// Attention over one tile of 64 positions with a running soft-max (Milakov and Gimelshein, 2018; FlashAttention, Dao et
// al., 2022).
//
// Up to six (query, head) pairs that share a kv head go together, so that a vector of K or V is loaded and widened once
// for all of them. Cost for a pair: 4 * head_dim operations a position. While the K of a tile is multiplied its V is on
// its way from memory, and meanwhile of V what comes next: further ahead was slower, and so was nothing.
//
// For AVX2 and AVX-512 alike; Vector is ymm_floats.hpp's or zmm_floats.hpp's.
#pragma once

#include "kernels/cpu/avx2/unrolled.hpp"
#include "kernels/cpu/avx2/ymm_floats.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

constexpr std::uint32_t positions = 64;  // of a tile: a multiple of a block
constexpr int most_pairs = 6;            // that go together

/// Blocks of K and vectors of V that pairs meet together: so many that the chains of FMAs fill their latency, and no
/// more than fit the registers beside them.
template <class Vector>
constexpr int blocks_together(int n_pairs) {
  if (Vector::registers == 32) return n_pairs <= 3 ? 4 : 2;
  return n_pairs == 1 ? 4 : n_pairs <= 3 ? 2 : 1;
}
template <class Vector>
constexpr int vectors_together(int n_pairs) {
  if (Vector::registers == 32) return 4;
  return n_pairs == 1 ? 8 : n_pairs <= 3 ? 4 : 2;
}

/// One (query, head) on its way through the tiles of a segment.
template <class Vector>
struct pair_state {
  std::uint32_t query, head;  // of the call; of the model
  std::uint32_t number;       // among the pairs that go together
  std::uint32_t begin, end;   // positions this query sees
  const float* q;
  float* out;            // (head_dim), the weighted sum of V so far
  Vector::type largest;  // score so far, in every lane
  Vector::type total;    // of exp(score - largest), a sum for each position modulo the lanes
};

/// Pairs of one kv head, in order of their queries.
template <class Vector>
struct pair_group {
  std::uint32_t kv_head;
  std::uint32_t n = 0;
  pair_state<Vector> pairs[most_pairs];
};

/// Positions of one tile that are seen, counted from the tile's first.
struct tile_range {
  std::uint32_t begin, end;

  friend bool operator==(const tile_range&, const tile_range&) = default;
  bool empty() const { return begin >= end; }
};

/// How an element of K or V is held. has_d: elements are codes, to be multiplied by the d of their group.
struct element_f32 {
  static constexpr std::size_t bytes = 4;
  static constexpr bool has_d = false;
  template <class Vector>
  [[gnu::always_inline]] static Vector::type load(const std::byte* p) {
    return Vector::load(reinterpret_cast<const float*>(p));
  }
};
struct element_f16 {
  static constexpr std::size_t bytes = 2;
  static constexpr bool has_d = false;
  template <class Vector>
  [[gnu::always_inline]] static Vector::type load(const std::byte* p) {
    return Vector::load_halves(p);
  }
};
struct element_q8 {
  static constexpr std::size_t bytes = 1;
  static constexpr bool has_d = true;
  template <class Vector>
  [[gnu::always_inline]] static Vector::type load(const std::byte* p) {
    return Vector::load_codes(p);
  }
};

/// Where one head of a block lies, from the block's beginning.
struct head_place {
  std::size_t codes;
  std::size_t d;      // q8_0
  std::size_t d_row;  // bytes from one position of V to the next

  head_place(const attention_args& args, std::uint32_t kv_head)
      : codes(kv_head * args.layout.head_bytes()),
        d(codes + args.layout.code_bytes()),
        d_row(args.layout.n_groups() * sizeof(float)) {}
};

/// The K that is read after this group's V of a tile.
struct following_k {
  const std::byte* const* blocks;  // of its tile
  std::size_t codes;               // of its head, from the beginning of a block
};

/// Asks for the cache line at p.
[[gnu::always_inline]] inline void prefetch(const std::byte* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

/// Scores of Blocks neighbouring blocks for Pairs pairs: each is one chain of FMAs over head_dim in order, or in q8_0
/// one for each group, times its d. Meanwhile the same places of v_blocks, a head of V being as long as one of K, are
/// on their way from memory. scores: (Pairs, positions)
template <class Vector, class Element, int Pairs, int Blocks>
void score_blocks(const pair_state<Vector>* pairs, const std::byte* const* k_blocks, const std::byte* const* v_blocks,
                  head_place head, std::uint32_t head_dim, float scale, float* scores) {
  constexpr int vectors = kv_block_tokens / Vector::lanes;  // of a row of K
  constexpr std::size_t bytes = Vector::lanes * Element::bytes;
  const std::uint32_t group = Element::has_d ? kv_group : head_dim;
  for (std::uint32_t begin = 0; begin < head_dim; begin += group) {
    const std::uint32_t end = begin + group < head_dim ? begin + group : head_dim;
    typename Vector::type sums[Pairs][Blocks][vectors];
    unrolled<Pairs>([&](auto p) {
      unrolled<Blocks>([&](auto b) { unrolled<vectors>([&](auto v) { sums[p][b][v] = Vector::all(0.0f); }); });
    });
    for (std::uint32_t d = begin; d < end; ++d) {
      const std::size_t at = head.codes + d * vectors * bytes;
      unrolled<Blocks>([&](auto b) {
        if (at % 64 == 0) prefetch(v_blocks[b] + at);
        typename Vector::type k[vectors];
        unrolled<vectors>([&](auto v) { k[v] = Element::template load<Vector>(k_blocks[b] + at + v * bytes); });
        unrolled<Pairs>([&](auto p) {
          const auto q = Vector::broadcast(pairs[p].q + d);
          unrolled<vectors>([&](auto v) { sums[p][b][v] = Vector::multiply_add(k[v], q, sums[p][b][v]); });
        });
      });
    }
    unrolled<Blocks>([&](auto b) {
      unrolled<vectors>([&](auto v) {
        auto factor = Vector::all(scale);
        if constexpr (Element::has_d) {
          const std::byte* d = k_blocks[b] + head.d + (begin / kv_group * vectors + v) * Vector::lanes * sizeof(float);
          factor = Vector::multiply(factor, Vector::load(reinterpret_cast<const float*>(d)));
        }
        unrolled<Pairs>([&](auto p) {
          float* to = scores + p * positions + b * kv_block_tokens + v * Vector::lanes;
          const auto product = Vector::multiply(sums[p][b][v], factor);
          Vector::store(to, begin == 0 ? product : Vector::add(Vector::load(to), product));
        });
      });
    });
  }
}

/// to = from * factor, which is in every lane; to may be from.
template <class Vector>
void scale(const float* from, std::uint32_t head_dim, typename Vector::type factor, float* to) {
  std::uint32_t d = 0;
  for (; d + Vector::lanes <= head_dim; d += Vector::lanes)
    Vector::store(to + d, Vector::multiply(Vector::load(from + d), factor));
  if constexpr (Vector::lanes > ymm_floats::lanes)
    if (d < head_dim)  // 8 elements that do not fill a vector of 16
      ymm_floats::store(to + d, ymm_floats::multiply(ymm_floats::load(from + d), Vector::low(factor)));
}

/// Turns the scores of one pair's tile into exp(score - largest), counts them, and rescales what came before.
template <class Vector>
void soften(pair_state<Vector>& pair, tile_range seen, std::uint32_t n_padded, std::uint32_t head_dim, float* scores) {
  // Slots outside hold anything, NaNs too. As minus infinity they become exact zeros.
  for (std::uint32_t t = 0; t < seen.begin; ++t)
    scores[t] = -__builtin_huge_valf();
  for (std::uint32_t t = seen.end; t < n_padded; ++t)
    scores[t] = -__builtin_huge_valf();
  auto largest = Vector::load(scores);
  for (std::uint32_t t = Vector::lanes; t < n_padded; t += Vector::lanes)
    largest = Vector::larger(largest, Vector::load(scores + t));
  largest = Vector::larger(pair.largest, Vector::largest_of_lanes(largest));
  const auto rescale = Vector::exp(Vector::subtract(pair.largest, largest));
  auto total = Vector::multiply(pair.total, rescale);
  for (std::uint32_t t = 0; t < n_padded; t += Vector::lanes) {
    const auto e = Vector::exp(Vector::subtract(Vector::load(scores + t), largest));
    Vector::store(scores + t, e);
    total = Vector::add(total, e);
  }
  scale<Vector>(pair.out, head_dim, rescale, pair.out);
  pair.largest = largest;
  pair.total = total;
}

/// out += weight[t] * V[t] for all t seen, in order, Vectors whole vectors of elements from `first` on.
template <class Vector, class Element, int Pairs, int Vectors, class Pair>
void add_values(const Pair* pairs, const std::byte* const* v_blocks, following_k following, head_place head,
                std::uint32_t head_dim, std::uint32_t first, tile_range seen, const float* weights) {
  constexpr int lanes = Vector::lanes;
  typename Vector::type sums[Pairs][Vectors];
  unrolled<Pairs>(
      [&](auto p) { unrolled<Vectors>([&](auto v) { sums[p][v] = Vector::load(pairs[p].out + first + lanes * v); }); });
  const std::size_t row = head_dim * Element::bytes;
  for (std::uint32_t begin = seen.begin; begin < seen.end;) {
    const std::uint32_t block = begin / kv_block_tokens;
    const std::size_t offset = first * Element::bytes + begin % kv_block_tokens * row;
    const std::byte* d = v_blocks[block] + head.d + begin % kv_block_tokens * head.d_row;
    const std::byte* at = v_blocks[block] + head.codes + offset;
    const std::byte* next = following.blocks[block] + following.codes + offset;
    const std::uint32_t block_end = (block + 1) * kv_block_tokens;
    const std::uint32_t end = seen.end < block_end ? seen.end : block_end;
    for (std::uint32_t t = begin; t < end; ++t) {
      typename Vector::type values[Vectors];
      unrolled<(Vectors * lanes * Element::bytes + 63) / 64>([&](auto line) { prefetch(next + 64 * line); });
      next += row;
      unrolled<Vectors>([&](auto v) {
        values[v] = Element::template load<Vector>(at + lanes * v * Element::bytes);
        if constexpr (Element::has_d) {
          const auto* of_group = reinterpret_cast<const float*>(d) + (first + lanes * v) / kv_group;
          values[v] = Vector::multiply(values[v], Vector::broadcast(of_group));
        }
      });
      d += head.d_row;
      unrolled<Pairs>([&](auto p) {
        const auto weight = Vector::broadcast(weights + p * positions + t);
        unrolled<Vectors>([&](auto v) { sums[p][v] = Vector::multiply_add(values[v], weight, sums[p][v]); });
      });
      at += row;
    }
    begin = end;
  }
  unrolled<Pairs>(
      [&](auto p) { unrolled<Vectors>([&](auto v) { Vector::store(pairs[p].out + first + lanes * v, sums[p][v]); }); });
}

/// One tile for pairs that all see the same of it.
template <class Vector, class Element, int Pairs>
void attend_tile(const attention_args& args, std::uint32_t kv_head, pair_state<Vector>* pairs, std::uint32_t tile,
                 tile_range seen, following_k following) {
  constexpr int blocks = blocks_together<Vector>(Pairs);
  constexpr int vectors = vectors_together<Vector>(Pairs);
  alignas(64) float scores[Pairs * positions];
  const std::uint32_t head_dim = args.layout.head_dim;
  const head_place head(args, kv_head);
  const std::byte* const* k_blocks = args.k_blocks + std::size_t{tile} * (positions / kv_block_tokens);
  const std::byte* const* v_blocks = args.v_blocks + std::size_t{tile} * (positions / kv_block_tokens);
  const std::uint32_t n_blocks = (seen.end + kv_block_tokens - 1) / kv_block_tokens;

  std::uint32_t b = seen.begin / kv_block_tokens;
  for (; b + blocks <= n_blocks; b += blocks)
    score_blocks<Vector, Element, Pairs, blocks>(pairs, k_blocks + b, v_blocks + b, head, head_dim, args.scale,
                                                 scores + b * kv_block_tokens);
  for (; b < n_blocks; ++b)
    score_blocks<Vector, Element, Pairs, 1>(pairs, k_blocks + b, v_blocks + b, head, head_dim, args.scale,
                                            scores + b * kv_block_tokens);
  for (std::uint32_t p = 0; p < Pairs; ++p)
    soften(pairs[p], seen, n_blocks * kv_block_tokens, head_dim, scores + p * positions);
  std::uint32_t d = 0;
  for (; d + vectors * Vector::lanes <= head_dim; d += vectors * Vector::lanes)
    add_values<Vector, Element, Pairs, vectors>(pairs, v_blocks, following, head, head_dim, d, seen, scores);
  for (; d + Vector::lanes <= head_dim; d += Vector::lanes)
    add_values<Vector, Element, Pairs, 1>(pairs, v_blocks, following, head, head_dim, d, seen, scores);
  if constexpr (Vector::lanes > ymm_floats::lanes)
    if (d < head_dim)  // 8 elements that do not fill a vector of 16
      add_values<ymm_floats, Element, Pairs, 1>(pairs, v_blocks, following, head, head_dim, d, seen, scores);
}

template <class Vector, class Element, int Pairs = most_pairs>
void attend_tile(const attention_args& args, std::uint32_t kv_head, pair_state<Vector>* pairs, std::uint32_t n_pairs,
                 std::uint32_t tile, tile_range seen, following_k following) {
  if constexpr (Pairs > 0) {
    if (n_pairs == Pairs) {
      attend_tile<Vector, Element, Pairs>(args, kv_head, pairs, tile, seen, following);
    } else {
      attend_tile<Vector, Element, Pairs - 1>(args, kv_head, pairs, n_pairs, tile, seen, following);
    }
  }
}

template <class Vector>
tile_range seen_in_tile(const pair_state<Vector>& pair, std::uint32_t tile) {
  const std::uint32_t before = tile * positions;
  const auto inside = [&](std::uint32_t position) {
    if (position <= before) return 0u;
    return position - before < positions ? position - before : positions;
  };
  return {inside(pair.begin), inside(pair.end)};
}

/// One tile of a group: its pairs together where all see alike; at the ragged ends, query by query.
template <class Vector, class Element>
void attend_tile(const attention_args& args, pair_group<Vector>& group, std::uint32_t tile, following_k following) {
  pair_state<Vector>* const pairs = group.pairs;
  for (std::uint32_t first = 0; first < group.n;) {
    const tile_range seen = seen_in_tile(pairs[first], tile);
    std::uint32_t last = first + 1;
    while (last < group.n && seen_in_tile(pairs[last], tile) == seen)
      ++last;
    if (!seen.empty())
      attend_tile<Vector, Element>(args, group.kv_head, pairs + first, last - first, tile, seen, following);
    first = last;
  }
}

}  // namespace
}  // namespace troupe::kernels::avx2
