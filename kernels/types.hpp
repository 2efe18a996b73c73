// Types that the operations share. Shapes are written (rows, columns), the last index running fastest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::kernels {

/// How weights lie in a model file. Block formats are ggml's: 32 weights a block, or 256 in the K formats, which have
/// a scale s (and a minimum u) for each 32 or 16 of them. block_codes.hpp unpacks them.
enum class weight_type : std::uint8_t {
  f32,
  f16,
  bf16,
  q8_0,  // {f16 d; i8 q[32]}                     w = d q
  q4_0,  // {f16 d; u8 q[16]}                     w = d (q - 8); low nibbles are weights 0..15, high nibbles 16..31
  q4_1,  // {f16 d; f16 m; u8 q[16]}              w = d q + m
  q5_0,  // {f16 d; u8 h[4]; u8 q[16]}            w = d (q - 16); bit i of h is the fifth bit of weight i
  q5_1,  // {f16 d; f16 m; u8 h[4]; u8 q[16]}     w = d q + m
  q4_k,  // {f16 d; f16 n; u8 su[12]; u8 q[128]}  w = d s q - n u; 8 pairs (s, u) of 6 bits each in su
  q5_k,  // {f16 d; f16 n; u8 su[12]; u8 h[32]; u8 q[128]}  the same with 5 bits
  q6_k   // {u8 q[128]; u8 h[64]; i8 s[16]; f16 d}          w = d s (q - 32)
};

/// All of them, for whatever walks them.
inline constexpr weight_type weight_types[] = {
    weight_type::f32,  weight_type::f16,  weight_type::bf16, weight_type::q8_0, weight_type::q4_0, weight_type::q4_1,
    weight_type::q5_0, weight_type::q5_1, weight_type::q4_k, weight_type::q5_k, weight_type::q6_k};

/// As ggml's tools write them.
constexpr std::string_view to_string(weight_type type) {
  switch (type) {
    case weight_type::f32:
      return "F32";
    case weight_type::f16:
      return "F16";
    case weight_type::bf16:
      return "BF16";
    case weight_type::q8_0:
      return "Q8_0";
    case weight_type::q4_0:
      return "Q4_0";
    case weight_type::q4_1:
      return "Q4_1";
    case weight_type::q5_0:
      return "Q5_0";
    case weight_type::q5_1:
      return "Q5_1";
    case weight_type::q4_k:
      return "Q4_K";
    case weight_type::q5_k:
      return "Q5_K";
    case weight_type::q6_k:
      return "Q6_K";
  }
  return "unknown";
}

/// The least that stands alone in the file: one weight, or a block that shares its scales.
struct weight_block {
  std::uint32_t weights = 1;
  std::uint32_t bytes = 0;
};

constexpr weight_block block_of(weight_type type) {
  switch (type) {
    case weight_type::f32:
      return {1, 4};
    case weight_type::f16:
    case weight_type::bf16:
      return {1, 2};
    case weight_type::q8_0:
      return {32, 2 + 32};
    case weight_type::q4_0:
      return {32, 2 + 16};
    case weight_type::q4_1:
      return {32, 4 + 16};
    case weight_type::q5_0:
      return {32, 2 + 4 + 16};
    case weight_type::q5_1:
      return {32, 4 + 4 + 16};
    case weight_type::q4_k:
      return {256, 4 + 12 + 128};
    case weight_type::q5_k:
      return {256, 4 + 12 + 32 + 128};
    case weight_type::q6_k:
      return {256, 128 + 64 + 16 + 2};
  }
  return {};
}

constexpr bool is_block_format(weight_type type) {
  return block_of(type).weights > 1;
}

/// Bytes of a row of n weights in the file; 0 when n is not a whole number of blocks.
constexpr std::size_t row_bytes(weight_type type, std::size_t n) {
  const weight_block block = block_of(type);
  return n % block.weights ? 0 : n / block.weights * block.bytes;
}

/// How the rows that multiply a weight matrix are held.
enum class activation_format : std::uint8_t {
  f32,
  q8  // 8-bit integers with a scale for each 32, layout private to the table; and second terms, see below
};

/// 8 bits hold little of a block of 32 beside its largest number, and in language models a few blocks hold numbers many
/// times larger than all others of their row: most of what rounding does to a row, it does there. So in q8 a block
/// whose largest number squared is more than this many times the mean of its row's blocks gets a second term: what the
/// first leaves out, in 8 bits again. In SmolLM2-135M that is a tenth of all blocks.
inline constexpr float residual_threshold = 2.0f;

/// Which elements rotary embedding turns together.
enum class rope_pairing : std::uint8_t {
  adjacent,  // (2i, 2i + 1): GGUF files of architecture llama
  halves     // (i, i + n/2)
};

/// A weight matrix (n_out, n_in) in the layout of one table. Made by pack_linear.
struct packed_linear {
  weight_type type = weight_type::f32;
  std::uint32_t n_out = 0;
  std::uint32_t n_in = 0;
  const std::byte* data = nullptr;
};

/// How K and V are held. q8_0: 8-bit codes with a float d for each 32 neighbouring dimensions of a position, x about
/// d * code; the last group of a head may be shorter.
enum class kv_type : std::uint8_t { f32, f16, q8_0 };

inline constexpr kv_type kv_types[] = {kv_type::f32, kv_type::f16, kv_type::q8_0};

constexpr std::string_view to_string(kv_type type) {
  return type == kv_type::f32 ? "f32" : type == kv_type::f16 ? "f16" : "q8_0";
}

constexpr std::optional<kv_type> find_kv_type(std::string_view name) {
  for (const kv_type type : kv_types)
    if (to_string(type) == name) return type;
  return std::nullopt;
}

// What kernels call of the rest of this file is inlined whatever the optimisation: out of line, it would be code for
// their instruction set that the linker may give to everybody.

/// Of an element or code.
[[gnu::always_inline]] constexpr std::size_t element_bytes(kv_type type) {
  return type == kv_type::f32 ? 4 : type == kv_type::f16 ? 2 : 1;
}

inline constexpr std::uint32_t kv_group = 32;  // dimensions of q8_0 that share a d

/// Positions in one KV block.
inline constexpr std::uint32_t kv_block_tokens = 16;

/// How one block of one layer lies in memory. K is stored transposed so that sixteen scores come from one stream of
/// loads:
///   K block: (n_kv_heads, head_dim, kv_block_tokens)      V block: (n_kv_heads, kv_block_tokens, head_dim)
/// In q8_0 the codes of each head are followed by its d: K (n_groups, kv_block_tokens), V (kv_block_tokens, n_groups).
struct kv_layout {
  kv_type type = kv_type::f16;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_dim = 0;

  [[gnu::always_inline]] constexpr std::size_t n_groups() const {  // of q8_0, in a head
    return (std::size_t{head_dim} + kv_group - 1) / kv_group;
  }
  [[gnu::always_inline]] constexpr std::size_t code_bytes() const {  // of a head
    return std::size_t{head_dim} * kv_block_tokens * element_bytes(type);
  }
  [[gnu::always_inline]] constexpr std::size_t head_bytes() const {
    return code_bytes() + (type == kv_type::q8_0 ? n_groups() * kv_block_tokens * sizeof(float) : 0);
  }
  constexpr std::size_t block_bytes() const { return n_kv_heads * head_bytes(); }  // of K, and the same again of V
};

/// Causal attention of n_queries neighbouring positions of one sequence, for the query heads of some kv heads.
/// Query i stands at position p = first_position + i and sees positions 0 .. p or, of those, the last `window`.
struct attention_args {
  kv_layout layout;
  std::uint32_t kv_head = 0;        // the first
  std::uint32_t n_kv_heads = 1;     // from there on
  std::uint32_t n_query_heads = 0;  // that share a kv head; theirs are heads kv_head * n_query_heads + h of q and out
  const float* q = nullptr;         // (n_queries, q_stride): heads of head_dim
  std::size_t q_stride = 0;
  float* out = nullptr;  // same shape as q, with its own stride
  std::size_t out_stride = 0;
  std::uint32_t n_queries = 0;
  std::uint32_t first_position = 0;
  std::uint32_t window = 0;                    // positions a query sees at most, its own among them; 0: no bound
  float scale = 1.0f;                          // of the scores, usually 1 / sqrt(head_dim)
  const std::byte* const* k_blocks = nullptr;  // this layer's K blocks of the sequence, in order
  const std::byte* const* v_blocks = nullptr;

  /// The first position that a query at this position sees.
  [[gnu::always_inline]] constexpr std::uint32_t first_visible(std::uint32_t position) const {
    return window != 0 && position >= window ? position - window + 1 : 0;
  }
};

/// Positions whose part of a query's attention is one sum: [n * attention_segment, (n + 1) * attention_segment).
inline constexpr std::uint32_t attention_segment = 256;

/// Floats from one part of a head's attention to the next, see table::attention_part.
[[gnu::always_inline]] constexpr std::size_t attention_part_floats(std::uint32_t head_dim) {
  return (std::size_t{head_dim} + 2 + 15) / 16 * 16;
}

}  // namespace troupe::kernels
