// Attention of a call: which pairs meet which tiles (attention_tile.hpp) in which order.
//
// Four tiles make a segment. Tile t is positions 64 t .. 64 t + 63 for every caller, and the order of operations for
// one (query, head) is tile after tile from where a segment begins, and then segment after segment: it depends on which
// positions the query sees and on nothing else. So segments can be computed anywhere (flash-decoding, Dao et al.,
// 2023), by one thread or by several.
//
// Groups of pairs meet a tile one after the other: of several kv heads because their K and V lie side by side in
// memory, of several queries because they find it in the cache.
#pragma once

#include "base/assert.hpp"
#include "kernels/cpu/avx2/attention_tile.hpp"
#include "kernels/ops/attention.hpp"

namespace troupe::kernels::avx2 {
namespace {

constexpr std::uint32_t segment_tiles = attention_segment / positions;
constexpr int most_groups = 4;  // that go through the tiles together

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
