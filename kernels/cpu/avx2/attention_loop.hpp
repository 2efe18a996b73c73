// Attention with a running soft-max (Milakov and Gimelshein, 2018; FlashAttention, Dao et al., 2022) over tiles of 64
// positions, four of which make a segment. Tile t is positions 64 t .. 64 t + 63 for every caller, and the order of
// operations for one (query, head) is tile after tile from where a segment begins, and then segment after segment: it
// depends on which positions the query sees and on nothing else. So segments can be computed anywhere
// (flash-decoding, Dao et al., 2023), by one thread or by several.
//
// Up to six (query, head) pairs that share a kv head go together, so that a vector of K or V is loaded and
// widened once for all of them. Groups of six meet a tile one after the other: of several kv heads because their K and
// V lie side by side, of several queries because they find it in the cache. Cost for a pair: 4 * head_dim operations a
// position.
//
// For AVX2 and AVX-512 alike; Vector is ymm_floats.hpp's or zmm_floats.hpp's.
#pragma once

#include "base/assert.hpp"
#include "kernels/cpu/avx2/unrolled.hpp"
#include "kernels/cpu/avx2/ymm_floats.hpp"
#include "kernels/ops/attention.hpp"
#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

constexpr std::uint32_t positions = 64;  // of a tile: a multiple of a block
constexpr std::uint32_t segment_tiles = attention_segment / positions;
constexpr int most_pairs = 6;   // of a group
constexpr int most_groups = 4;  // that go through the tiles together

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

/// Groups that go through the tiles together.
template <class Vector>
struct group_list {
  int n = 0;
  pair_group<Vector> groups[most_groups];
  std::uint32_t begin = 0, end = 0;  // positions that any of them sees

  template <class Body>
  [[gnu::always_inline]] void for_each_pair(const Body& body) {
    for (int g = 0; g < n; ++g)
      for (std::uint32_t p = 0; p < groups[g].n; ++p)
        body(groups[g].pairs[p]);
  }
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

/// The positions that lie in one segment. part_of(pair): where its part goes; that of a pair which sees none of the
/// segment is left with weights of sum 0.
template <class Vector, class Element, class PartOf>
void attend_segment(const attention_args& args, group_list<Vector>& list, std::uint32_t segment,
                    const PartOf& part_of) {
  const std::uint32_t head_dim = args.layout.head_dim;
  list.for_each_pair([&](pair_state<Vector>& pair) {
    pair.out = part_of(pair);
    for (std::uint32_t d = 0; d < head_dim; ++d)
      pair.out[d] = 0.0f;
    pair.largest = Vector::all(-__builtin_huge_valf());
    pair.total = Vector::all(0.0f);
  });
  const std::uint32_t begin = segment * segment_tiles;
  const std::uint32_t end = begin + segment_tiles;
  std::uint32_t tile = list.begin / positions;
  for (tile = tile > begin ? tile : begin; tile < end && tile * positions < list.end; ++tile)
    for (int g = 0; g < list.n; ++g) {
      // The next group's of this tile, or the first one's of the next tile; of the last tile's last group its own
      // again.
      const bool last_group = g + 1 == list.n;
      const bool last_tile = (tile + 2) * positions > list.end;
      const std::uint32_t next_tile = last_group && !last_tile ? tile + 1 : tile;
      const std::uint32_t next_head = list.groups[last_group ? 0 : g + 1].kv_head;
      attend_tile<Vector, Element>(
          args, list.groups[g], tile,
          {args.k_blocks + std::size_t{next_tile} * (positions / kv_block_tokens), head_place(args, next_head).codes});
    }
  list.for_each_pair([&](const pair_state<Vector>& pair) {
    pair.out[head_dim] = Vector::first(pair.largest);
    pair.out[head_dim + 1] = Vector::sum_of_lanes(pair.total);
  });
}

/// Adds the part of a later segment to that of all before it, in its place. The one of the smaller scores is scaled.
template <class Vector>
void add_part(const float* part, std::uint32_t head_dim, float* sum) {
  const bool rises = part[head_dim] > sum[head_dim];
  const auto smaller =
      Vector::exp(Vector::all(rises ? sum[head_dim] - part[head_dim] : part[head_dim] - sum[head_dim]));
  const auto one = Vector::all(1.0f);
  const auto keep = rises ? smaller : one;
  const auto take = rises ? one : smaller;
  const auto added = [&]<class V>(V, std::size_t at, auto kept, auto taken) {
    V::store(sum + at, V::multiply_add(V::load(part + at), taken, V::multiply(V::load(sum + at), kept)));
  };
  std::uint32_t d = 0;
  for (; d + Vector::lanes <= head_dim; d += Vector::lanes)
    added(Vector{}, d, keep, take);
  if constexpr (Vector::lanes > ymm_floats::lanes)
    if (d < head_dim) added(ymm_floats{}, d, Vector::low(keep), Vector::low(take));
  const float factor = Vector::first(smaller);
  sum[head_dim + 1] =
      rises ? sum[head_dim + 1] * factor + part[head_dim + 1] : sum[head_dim + 1] + part[head_dim + 1] * factor;
  if (rises) sum[head_dim] = part[head_dim];
}

/// The output out of the sum of all parts.
template <class Vector>
void finish(const float* sum, std::uint32_t head_dim, float* out) {
  scale<Vector>(sum, head_dim, Vector::all(1.0f / sum[head_dim + 1]), out);
}

/// table::combine_attention
template <class Vector>
void combine(const float* parts, std::uint32_t n_parts, std::uint32_t head_dim, float* out) {
  const std::size_t stride = attention_part_floats(head_dim);
  alignas(64) float sum[attention_part_floats(max_head_dim)];
  __builtin_memcpy(sum, parts, stride * sizeof(float));
  for (std::uint32_t i = 1; i < n_parts; ++i)
    add_part<Vector>(parts + i * stride, head_dim, sum);
  finish<Vector>(sum, head_dim, out);
}

/// Calls body(list) with the pairs of a call, as many at a time as go together.
template <class Vector, class Body>
void for_each_list(const attention_args& args, const Body& body) {
  const std::uint32_t n_pairs = args.n_queries * args.n_query_heads;  // of a kv head
  group_list<Vector> list;
  for (std::uint32_t kv_head = args.kv_head; kv_head < args.kv_head + args.n_kv_heads; ++kv_head) {
    for (std::uint32_t first = 0; first < n_pairs; first += most_pairs) {
      pair_group<Vector>& group = list.groups[list.n];
      group.kv_head = kv_head;
      for (group.n = 0; group.n < most_pairs && first + group.n < n_pairs; ++group.n) {
        pair_state<Vector>& pair = group.pairs[group.n];
        pair.query = (first + group.n) / args.n_query_heads;
        pair.head = kv_head * args.n_query_heads + (first + group.n) % args.n_query_heads;
        pair.number = static_cast<std::uint32_t>(list.n) * most_pairs + group.n;
        pair.begin = args.first_visible(args.first_position + pair.query);
        pair.end = args.first_position + pair.query + 1;
        pair.q = args.q + pair.query * args.q_stride + std::size_t{pair.head} * args.layout.head_dim;
        list.begin = pair.number == 0 || pair.begin < list.begin ? pair.begin : list.begin;
        list.end = pair.number == 0 || pair.end > list.end ? pair.end : list.end;
      }
      if (++list.n < most_groups) continue;
      body(list);
      list.n = 0;
    }
  }
  if (list.n > 0) body(list);
}

/// All segments of a list.
template <class Vector, class Element>
void attend_segments(const attention_args& args, group_list<Vector>& list) {
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::size_t stride = attention_part_floats(head_dim);
  constexpr std::size_t most = std::size_t{most_groups} * most_pairs * attention_part_floats(max_head_dim);
  alignas(64) float sums[most];
  alignas(64) float parts[most];
  for (std::uint32_t segment = list.begin / attention_segment; segment * attention_segment < list.end; ++segment) {
    attend_segment<Vector, Element>(args, list, segment,
                                    [&](const pair_state<Vector>& pair) { return parts + pair.number * stride; });
    list.for_each_pair([&](const pair_state<Vector>& pair) {
      const std::uint32_t its_first = pair.begin / attention_segment;
      if (segment < its_first || segment * attention_segment >= pair.end) return;  // it sees nothing here
      float* const sum = sums + pair.number * stride;
      if (segment == its_first)
        __builtin_memcpy(sum, pair.out, (head_dim + 2) * sizeof(float));
      else
        add_part<Vector>(pair.out, head_dim, sum);
    });
  }
  list.for_each_pair([&](const pair_state<Vector>& pair) {
    finish<Vector>(sums + pair.number * stride, head_dim,
                   args.out + pair.query * args.out_stride + std::size_t{pair.head} * head_dim);
  });
}

/// Calls body(element) with how the K and V of args are held.
template <class Body>
void with_element(const attention_args& args, const Body& body) {
  TROUPE_ASSERT(args.layout.head_dim % 8 == 0 && args.layout.head_dim <= max_head_dim, "head_dim is 8, 16, ... 256");
  TROUPE_ASSERT(args.n_query_heads > 0 && args.n_query_heads <= max_query_heads, "1 to 32 query heads share a kv head");
  switch (args.layout.type) {
    case kv_type::f32:
      return body(element_f32{});
    case kv_type::f16:
      return body(element_f16{});
    case kv_type::q8_0:
      return body(element_q8{});
  }
}

/// table::attention
template <class Vector>
void attend_all(const attention_args& args) {
  with_element(args, [&]<class Element>(Element) {
    for_each_list<Vector>(args, [&](group_list<Vector>& list) { attend_segments<Vector, Element>(args, list); });
  });
}

/// table::attention_part
template <class Vector>
void attend_part(const attention_args& args, std::uint32_t segment, float* parts, std::size_t parts_stride) {
  TROUPE_ASSERT(args.n_queries == 1, "parts are of a single query");
  const auto part_of = [&](const pair_state<Vector>& pair) {
    return parts + (pair.head - args.kv_head * args.n_query_heads) * parts_stride;
  };
  with_element(args, [&]<class Element>(Element) {
    for_each_list<Vector>(
        args, [&](group_list<Vector>& list) { attend_segment<Vector, Element>(args, list, segment, part_of); });
  });
}

}  // namespace
}  // namespace troupe::kernels::avx2
