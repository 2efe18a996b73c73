// The packed layouts of the AVX2 and AVX-512 tables, known to pack_linear and to the linear kernels only.
//
// A tile is 16 neighbouring outputs, two vectors of 8 lanes; the last tile is filled up with zero weights. A tile holds
// all of its n_in weights, tiles follow each other, and a thread that computes a range of outputs reads one stream of
// memory.
//
// Block formats go in steps of as many inputs as share a d: 32, or 256 in the K formats. A step is
//   f16 d[16]; f16 m[16], if the format has it; then for each 32 inputs
//   (q4_k, q5_k) u8 s[16], u8 u[16]   or   (q6_k) i8 s[16] for the first 16 inputs, i8 s[16] for the others
//   the codes in vectors of 32 bytes. A lane takes 4 bytes: weights of 4 neighbouring inputs, a "group", of one output.
//   So 4 inputs broadcast as 32 bits meet the right weights of 8 outputs.
//   8 bits: for each group g = 0..7, for each half h of the tile: signed bytes
//   4 bits: for each pair of groups g = 0..3, for each half h: bytes whose low nibbles are group 2g and whose high
//       nibbles are group 2g + 1
//   5 bits: the low four as above, then for each half h: bytes whose bit g is the fifth bit of group g
//   6 bits: the low four as above, then for groups 0..3 and for groups 4..7, for each half h: bytes whose bits
//       2 (g % 4) and 2 (g % 4) + 1 are the high bits of group g
// Float formats, for each input: 16 weights in the type of the file.
//
// Activations q8 of AVX2 (AVX-512 has activations.hpp), one row: i8 q[n_in], then for each block {float d, float d *
// (sum of its q)}; x is about d q. Then u32 n and n residual blocks, see below.
//
// There are constants here and functions that are always inlined: this header is compiled with and without AVX2, and a
// function emitted by the former must not be linked into the latter.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::avx2 {

inline constexpr std::uint32_t tile = 16;
inline constexpr std::uint32_t lanes = 8;
inline constexpr std::uint32_t block = 32;

/// Blocks of a row that can exceed residual_threshold.
[[gnu::always_inline]] constexpr std::size_t most_residuals(std::uint32_t n_in) {
  const std::size_t n_blocks = n_in / block;
  return n_blocks ? (n_blocks - 1) / 2 : 0;
}

/// The second term of a block: x is about d q of both.
struct residual_block {
  std::int8_t q[32];
  float d, d_sum;
  std::uint32_t block;  // which of the row's
};

/// How a step of a tile lies in memory.
struct step_layout {
  std::uint32_t depth;       // inputs of a step
  std::uint32_t code_bits;   // 0: floats
  std::size_t header_bytes;  // d and m of the step
  std::size_t scale_bytes;   // before the codes of each 32 inputs
  std::size_t code_bytes;    // of each 32 inputs; of one input for floats
};

template <weight_type Type>
inline constexpr step_layout layout_of{};
template <>
inline constexpr step_layout layout_of<weight_type::f32>{1, 0, 0, 0, 4 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::f16>{1, 0, 0, 0, 2 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::bf16>{1, 0, 0, 0, 2 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q8_0>{32, 8, 2 * tile, 0, 32 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q4_0>{32, 4, 2 * tile, 0, 16 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q4_1>{32, 4, 4 * tile, 0, 16 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q5_0>{32, 5, 2 * tile, 0, 20 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q5_1>{32, 5, 4 * tile, 0, 20 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q4_k>{256, 4, 4 * tile, 2 * tile, 16 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q5_k>{256, 5, 4 * tile, 2 * tile, 20 * tile};
template <>
inline constexpr step_layout layout_of<weight_type::q6_k>{256, 6, 2 * tile, 2 * tile, 24 * tile};

/// Bytes of one step of a tile.
template <weight_type Type>
inline constexpr std::size_t tile_step_bytes = layout_of<Type>.header_bytes +
                                               (layout_of<Type>.scale_bytes + layout_of<Type>.code_bytes) *
                                                   (layout_of<Type>.code_bits ? layout_of<Type>.depth / block : 1);

}  // namespace troupe::kernels::avx2
