// Every table's attention and store_kv against the reference, and rule 5: prefill, decode and any cut between them give
// the same bits, and slots that nobody wrote are never felt.
#include "kernels/ops/attention.hpp"

#include "catch.hpp"
#include "inputs.hpp"
#include "kernels/table.hpp"
#include "tables.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::kernels;

namespace {

/// The blocks of one sequence, written position by position by one table. Unwritten slots are NaNs.
class sequence {
 public:
  sequence(const table& kernels, kv_layout layout, std::uint32_t n_positions, std::uint64_t seed)
      : layout_(layout),
        n_blocks_((n_positions + kv_block_tokens - 1) / kv_block_tokens),
        memory_(2 * n_blocks_ * layout.block_bytes()) {
    random_stream random(seed);
    // Blocks lie in reverse order: a table must go by the pointers.
    for (std::size_t b = 0; b < n_blocks_; ++b) {
      k_.push_back(memory_.data() + 2 * (n_blocks_ - 1 - b) * layout.block_bytes());
      v_.push_back(k_.back() + layout.block_bytes());
    }
    const std::size_t n = std::size_t{layout.n_kv_heads} * layout.head_dim;
    for (std::uint32_t t = 0; t < n_positions; ++t) {
      const std::vector<float> k = random_floats(random, n);
      const std::vector<float> v = random_floats(random, n);
      kernels.store_kv(layout, k.data(), v.data(), t % kv_block_tokens, k_[t / kv_block_tokens],
                       v_[t / kv_block_tokens]);
    }
  }

  const kv_layout& layout() const { return layout_; }
  const std::byte* const* k_blocks() const { return k_.data(); }
  const std::byte* const* v_blocks() const { return v_.data(); }
  aligned_bytes& memory() { return memory_; }

 private:
  kv_layout layout_;
  std::size_t n_blocks_;
  aligned_bytes memory_;
  std::vector<std::byte*> k_;
  std::vector<std::byte*> v_;
};

struct heads {
  std::uint32_t n_kv;
  std::uint32_t n_query;  // for each kv head
};

/// Queries [first, first + n) of all heads. q: (positions, n_kv * n_query * head_dim); out: the same for the queries.
attention_args args_of(const sequence& tokens, heads h, const std::vector<float>& q, std::uint32_t first,
                       std::uint32_t n, std::uint32_t window, std::vector<float>& out) {
  const std::size_t width = std::size_t{h.n_kv} * h.n_query * tokens.layout().head_dim;
  out.resize(n * width);
  attention_args args;
  args.layout = tokens.layout();
  args.n_query_heads = h.n_query;
  args.q = q.data() + first * width;
  args.q_stride = width;
  args.out = out.data();
  args.out_stride = width;
  args.n_queries = n;
  args.first_position = first;
  args.window = window;
  args.scale = 1.0f / std::sqrt(static_cast<float>(tokens.layout().head_dim));
  args.k_blocks = tokens.k_blocks();
  args.v_blocks = tokens.v_blocks();
  return args;
}

std::vector<float> attend(const table& kernels, const sequence& tokens, heads h, const std::vector<float>& q,
                          std::uint32_t first, std::uint32_t n, std::uint32_t window = 0) {
  std::vector<float> out;
  attention_args args = args_of(tokens, h, q, first, n, window, out);
  for (args.kv_head = 0; args.kv_head < h.n_kv; ++args.kv_head)
    kernels.attention(args);
  return out;
}

/// The query at `position`, its parts computed from the last to the first.
std::vector<float> attend_in_parts(const table& kernels, const sequence& tokens, heads h, const std::vector<float>& q,
                                   std::uint32_t position, std::uint32_t window) {
  std::vector<float> out;
  attention_args args = args_of(tokens, h, q, position, 1, window, out);
  const std::uint32_t head_dim = args.layout.head_dim;
  const std::size_t floats = attention_part_floats(head_dim);
  const std::uint32_t first = args.first_visible(position) / attention_segment;
  const std::uint32_t n_parts = position / attention_segment + 1 - first;
  std::vector<float> parts(h.n_query * n_parts * floats);
  for (args.kv_head = 0; args.kv_head < h.n_kv; ++args.kv_head) {
    for (std::uint32_t part = n_parts; part-- > 0;)
      kernels.attention_part(args, first + part, parts.data() + part * floats, n_parts * floats);
    for (std::uint32_t head = 0; head < h.n_query; ++head)
      kernels.combine_attention(parts.data() + head * n_parts * floats, n_parts, head_dim,
                                out.data() + (args.kv_head * h.n_query + head) * head_dim);
  }
  return out;
}

}  // namespace

TEST_CASE("store_kv writes the same bytes in every table", "[attention]") {
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      for (const std::uint32_t head_dim : {8u, 64u, 120u}) {
        CAPTURE(kernels->isa, head_dim, to_string(type));
        const kv_layout layout = {type, 2, head_dim};
        sequence expected(reference(), layout, 21, 5);
        sequence written(*kernels, layout, 21, 5);
        CHECK(std::memcmp(expected.memory().data(), written.memory().data(), written.memory().size()) == 0);
      }
    }
  }
}

TEST_CASE("halves are rounded alike by every table", "[attention]") {
  // All sizes of float, from below the smallest half to past the largest.
  for (const table* kernels : tested_tables()) {
    CAPTURE(kernels->isa);
    const kv_layout layout = {kv_type::f16, 4, 256};
    random_stream random(8);
    aligned_bytes expected(2 * layout.block_bytes());
    aligned_bytes written(2 * layout.block_bytes());
    for (std::uint32_t slot = 0; slot < kv_block_tokens; ++slot) {
      std::vector<float> k(1024);
      for (float& value : k)
        value = std::ldexp(random_normal(random), static_cast<int>(random.below(48)) - 28);
      reference().store_kv(layout, k.data(), k.data(), slot, expected.data(), expected.data() + layout.block_bytes());
      kernels->store_kv(layout, k.data(), k.data(), slot, written.data(), written.data() + layout.block_bytes());
    }
    CHECK(std::memcmp(expected.data(), written.data(), written.size()) == 0);
  }
}

TEST_CASE("q8_0 keeps what it holds to half a step of its group", "[attention]") {
  // One key that the query picks alone: what comes out is its V as stored.
  random_stream random(21);
  for (const std::uint32_t head_dim : {8u, 64u, 120u}) {
    const kv_layout layout = {kv_type::q8_0, 1, head_dim};
    aligned_bytes memory(2 * layout.block_bytes());
    std::vector<float> v = random_floats(random, head_dim);
    for (std::size_t i = 0; i < v.size(); ++i)
      v[i] *= std::exp2(static_cast<float>(i / kv_group) * 10.0f);  // each group of another size
    if (head_dim > 32) std::fill(v.begin() + 32, v.begin() + 64, 0.0f);
    for (const table* kernels : tested_tables()) {
      CAPTURE(kernels->isa, head_dim);
      kernels->store_kv(layout, v.data(), v.data(), 0, memory.data(), memory.data() + layout.block_bytes());
      const std::byte* k_block = memory.data();
      const std::byte* v_block = memory.data() + layout.block_bytes();
      std::vector<float> out(head_dim);
      kernels->attention({.layout = layout,
                          .n_query_heads = 1,
                          .q = v.data(),
                          .q_stride = head_dim,
                          .out = out.data(),
                          .out_stride = head_dim,
                          .n_queries = 1,
                          .scale = 1e-9f,
                          .k_blocks = &k_block,
                          .v_blocks = &v_block});
      for (std::uint32_t i = 0; i < head_dim; ++i) {
        float largest = 0;
        for (std::uint32_t j = i / kv_group * kv_group; j < head_dim && j < (i / kv_group + 1) * kv_group; ++j)
          largest = std::max(largest, std::abs(v[j]));
        CHECK(std::abs(out[i] - v[i]) <= largest / 127.0f * 0.5001f);
      }
    }
  }
}

TEST_CASE("attention stays within its error bound", "[attention]") {
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      for (const std::uint32_t head_dim : {8u, 24u, 64u, 128u, 256u}) {
        for (const heads h : {heads{1, 1}, heads{3, 3}, heads{2, 4}, heads{1, 7}, heads{1, 32}}) {
          constexpr std::uint32_t n = 150;
          CAPTURE(kernels->isa, to_string(type), head_dim, h.n_kv, h.n_query);
          const sequence tokens(*kernels, {type, h.n_kv, head_dim}, n, 21);
          random_stream random(22);
          const std::vector<float> q = random_floats(random, std::size_t{n} * h.n_kv * h.n_query * head_dim, 2.0f);
          // Scores sum head_dim products of about 2 * 1 at most 3.5 and 7: times scale.
          const double score_sum = head_dim * 7.0 * 3.5 / std::sqrt(head_dim);
          for (const std::uint32_t first : {0u, 15u, 60u, 64u, 149u}) {
            const std::uint32_t count = std::min(n - first, 9u);
            const std::vector<float> expected = attend(reference(), tokens, h, q, first, count);
            const std::vector<float> out = attend(*kernels, tokens, h, q, first, count);
            double largest = 0;
            for (std::size_t i = 0; i < out.size(); ++i) {
              REQUIRE(std::isfinite(out[i]));
              largest = std::max(largest, std::abs(double{out[i]} - double{expected[i]}));
            }
            CHECK(largest <= attention_error_bound(head_dim, first + count, score_sum, 3.5));
            CHECK(largest <= 2e-5);  // what rounding gives in practice: the bound above is for conspiring signs
          }
        }
      }
    }
  }
}

TEST_CASE("attention has the same bits in prefill, in decode and in any chunks", "[attention][rule5]") {
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      for (const heads h : {heads{3, 3}, heads{1, 1}, heads{2, 5}, heads{1, 8}}) {
        CAPTURE(kernels->isa, to_string(type), h.n_kv, h.n_query);
        constexpr std::uint32_t n = 140;  // two tiles and a part of the third
        constexpr std::uint32_t head_dim = 64;
        const std::size_t width = std::size_t{h.n_kv} * h.n_query * head_dim;
        const sequence tokens(*kernels, {type, h.n_kv, head_dim}, n, 31);
        random_stream random(32);
        const std::vector<float> q = random_floats(random, n * width);
        const std::vector<float> prefill = attend(*kernels, tokens, h, q, 0, n);
        for (const std::uint32_t chunk : {1u, 2u, 3u, 16u, 50u}) {
          std::vector<float> chunked;
          for (std::uint32_t first = 0; first < n; first += chunk) {
            const std::vector<float> out = attend(*kernels, tokens, h, q, first, std::min(chunk, n - first));
            chunked.insert(chunked.end(), out.begin(), out.end());
          }
          CAPTURE(chunk);
          REQUIRE(same_bits(chunked, prefill));
        }
      }
    }
  }
}

TEST_CASE("the parts of attention combined are its bits", "[attention][rule5]") {
  // Ends before, at and after a segment's, and windows that begin in the middle of one.
  constexpr std::uint32_t n = 3 * attention_segment + 40;
  for (const table* kernels : tested_tables()) {
    if (!kernels->attention_part) continue;
    for (const kv_type type : kv_types) {
      for (const std::uint32_t head_dim : {24u, 64u, 256u}) {
        const heads h = {2, head_dim == 24 ? 8u : 3u};
        const std::size_t width = std::size_t{h.n_kv} * h.n_query * head_dim;
        const sequence tokens(*kernels, {type, h.n_kv, head_dim}, n, 81);
        random_stream random(82);
        const std::vector<float> q = random_floats(random, n * width);
        for (const std::uint32_t window : {0u, 100u, 300u}) {
          const std::vector<float> prefill = attend(*kernels, tokens, h, q, n - 300, 300, window);
          for (const std::uint32_t position : {n - 300, 2 * attention_segment - 1, 2 * attention_segment, n - 1}) {
            CAPTURE(kernels->isa, to_string(type), head_dim, window, position);
            const std::vector<float> combined = attend_in_parts(*kernels, tokens, h, q, position, window);
            REQUIRE(same_bits(combined, attend(*kernels, tokens, h, q, position, 1, window)));
            REQUIRE(std::memcmp(combined.data(), prefill.data() + (position + 300 - n) * width,
                                width * sizeof(float)) == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("slots past a query's position are never felt", "[attention][rule5]") {
  // The same sequence, once with exactly the visible positions written and NaNs after them, once with later positions.
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      const heads h = {2, 3};
      const kv_layout layout = {type, h.n_kv, 64};
      constexpr std::uint32_t n = 130;
      random_stream random(42);
      const std::vector<float> q = random_floats(random, std::size_t{n} * h.n_kv * h.n_query * 64);
      const sequence longer(*kernels, layout, n, 41);
      for (std::uint32_t n_visible = 1; n_visible <= n; ++n_visible) {
        CAPTURE(kernels->isa, to_string(type), n_visible);
        const sequence tokens(*kernels, layout, n_visible, 41);
        const std::vector<float> out = attend(*kernels, tokens, h, q, n_visible - 1, 1);
        REQUIRE(std::all_of(out.begin(), out.end(), [](float value) { return std::isfinite(value); }));
        REQUIRE(same_bits(out, attend(*kernels, longer, h, q, n_visible - 1, 1)));
      }
    }
  }
}

TEST_CASE("a NaN in a later position does not reach an earlier query of the same call", "[attention][rule5]") {
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      CAPTURE(kernels->isa, to_string(type));
      const heads h = {1, 3};
      const kv_layout layout = {type, 1, 64};
      constexpr std::uint32_t n = 90;
      random_stream random(52);
      const std::vector<float> q = random_floats(random, std::size_t{n} * 3 * 64);
      sequence tokens(*kernels, layout, n, 51);
      const std::vector<float> clean = attend(*kernels, tokens, h, q, 60, 20);
      const std::vector<float> nans(64, std::numeric_limits<float>::quiet_NaN());
      kernels->store_kv(layout, nans.data(), nans.data(), 70 % kv_block_tokens,
                        const_cast<std::byte*>(tokens.k_blocks()[70 / kv_block_tokens]),
                        const_cast<std::byte*>(tokens.v_blocks()[70 / kv_block_tokens]));
      const std::vector<float> spoiled = attend(*kernels, tokens, h, q, 60, 20);
      const std::size_t intact = 10 * 3 * 64;  // queries 60 .. 69
      CHECK(std::memcmp(clean.data(), spoiled.data(), intact * sizeof(float)) == 0);
      CHECK(std::none_of(spoiled.begin() + intact, spoiled.end(), [](float value) { return std::isfinite(value); }));
    }
  }
}

TEST_CASE("a window hides what lies before it", "[attention]") {
  // Against the reference on a sequence that begins where the window does, for all places of both ends in their tiles.
  constexpr std::uint32_t n = 200;
  const heads h = {2, 4};
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      const kv_layout layout = {type, h.n_kv, 64};
      const std::size_t width = std::size_t{h.n_kv} * h.n_query * 64;
      random_stream random(62);
      const std::vector<float> q = random_floats(random, n * width);
      const sequence tokens(*kernels, layout, n, 61);
      for (const std::uint32_t window : {1u, 2u, 16u, 17u, 63u, 64u, 100u, 128u, 200u, 1000u}) {
        CAPTURE(kernels->isa, to_string(type), window);
        const std::vector<float> whole = attend(*kernels, tokens, h, q, 0, n, window);
        const std::vector<float> expected = attend(reference(), tokens, h, q, 0, n, window);
        double largest = 0;
        for (std::size_t i = 0; i < whole.size(); ++i) {
          REQUIRE(std::isfinite(whole[i]));
          largest = std::max(largest, std::abs(double{whole[i]} - double{expected[i]}));
        }
        CHECK(largest <= 2e-5);
        if (window >= n) CHECK(same_bits(whole, attend(*kernels, tokens, h, q, 0, n)));
        for (const std::uint32_t chunk : {1u, 3u, 50u}) {  // rule 5
          std::vector<float> chunked;
          for (std::uint32_t first = 0; first < n; first += chunk) {
            const std::vector<float> out = attend(*kernels, tokens, h, q, first, std::min(chunk, n - first), window);
            chunked.insert(chunked.end(), out.begin(), out.end());
          }
          REQUIRE(same_bits(chunked, whole));
        }
      }
    }
  }
}

TEST_CASE("slots before a window are never felt", "[attention][rule5]") {
  constexpr std::uint32_t n = 150;
  constexpr std::uint32_t window = 70;
  for (const table* kernels : tested_tables()) {
    for (const kv_type type : kv_types) {
      CAPTURE(kernels->isa, to_string(type));
      const heads h = {1, 3};
      random_stream random(72);
      const std::vector<float> q = random_floats(random, std::size_t{n} * 3 * 64);
      sequence tokens(*kernels, {type, 1, 64}, n, 71);
      const std::vector<float> clean = attend(*kernels, tokens, h, q, n - 1, 1, window);
      const std::vector<float> nans(64, std::numeric_limits<float>::quiet_NaN());
      for (std::uint32_t t = 0; t < n - window; ++t)
        kernels->store_kv(tokens.layout(), nans.data(), nans.data(), t % kv_block_tokens,
                          const_cast<std::byte*>(tokens.k_blocks()[t / kv_block_tokens]),
                          const_cast<std::byte*>(tokens.v_blocks()[t / kv_block_tokens]));
      CHECK(same_bits(attend(*kernels, tokens, h, q, n - 1, 1, window), clean));
    }
  }
}

TEST_CASE("the reference sees exactly the window", "[attention]") {
  const kv_layout layout = {kv_type::f32, 1, 8};
  aligned_bytes memory(2 * layout.block_bytes());
  for (std::uint32_t t = 0; t < 10; ++t) {
    const std::vector<float> k(8, 0.0f);  // all scores alike
    const std::vector<float> v(8, static_cast<float>(t));
    reference().store_kv(layout, k.data(), v.data(), t, memory.data(), memory.data() + layout.block_bytes());
  }
  const std::byte* k_block = memory.data();
  const std::byte* v_block = memory.data() + layout.block_bytes();
  const std::vector<float> q(8, 1.0f);
  std::vector<float> out(8);
  reference().attention({.layout = layout,
                         .n_query_heads = 1,
                         .q = q.data(),
                         .q_stride = 8,
                         .out = out.data(),
                         .out_stride = 8,
                         .n_queries = 1,
                         .first_position = 9,
                         .window = 4,
                         .k_blocks = &k_block,
                         .v_blocks = &v_block});
  CHECK(out[0] == 7.5f);  // the mean of 6, 7, 8 and 9
}

TEST_CASE("attention of large scores picks the largest", "[attention]") {
  for (const table* kernels : tested_tables()) {
    const kv_layout layout = {kv_type::f32, 1, 8};
    constexpr std::uint32_t n = 100;
    for (const std::uint32_t winner : {0u, 15u, 64u, 99u}) {
      CAPTURE(kernels->isa, winner);
      aligned_bytes memory(2 * 7 * layout.block_bytes());
      std::vector<const std::byte*> k_blocks;
      std::vector<const std::byte*> v_blocks;
      for (std::uint32_t t = 0; t < n; ++t) {
        std::byte* block = memory.data() + 2 * (t / kv_block_tokens) * layout.block_bytes();
        if (t % kv_block_tokens == 0) {
          k_blocks.push_back(block);
          v_blocks.push_back(block + layout.block_bytes());
        }
        const std::vector<float> k(8, t == winner ? 1000.0f : -1000.0f);
        const std::vector<float> v(8, static_cast<float>(t));
        kernels->store_kv(layout, k.data(), v.data(), t % kv_block_tokens, block, block + layout.block_bytes());
      }
      const std::vector<float> q(8, 1.0f);
      std::vector<float> out(8);
      attention_args args;
      args.layout = layout;
      args.n_query_heads = 1;
      args.q = q.data();
      args.q_stride = args.out_stride = 8;
      args.out = out.data();
      args.n_queries = 1;
      args.first_position = n - 1;
      args.k_blocks = k_blocks.data();
      args.v_blocks = v_blocks.data();
      kernels->attention(args);
      for (const float value : out)
        CHECK(value == static_cast<float>(winner));
    }
  }
}
