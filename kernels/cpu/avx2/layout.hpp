// The packed layouts of the AVX2 table, known to pack_linear and to the linear kernels only.
//
// A tile is 16 neighbouring outputs, two vectors of 8 lanes; the last tile is filled up with zero weights. A tile holds
// all of its n_in weights, tiles follow each other, and a thread that computes a range of outputs reads one stream of
// memory.
//
// Block formats, for each 32 inputs:
//   f16 d[16]; (q4_1 only) f16 m[16]; then the quants in vectors of 32 bytes. A lane takes 4 bytes: weights of 4
//   neighbouring inputs, a "group", of one output. So 4 inputs broadcast as 32 bits meet the right weights of 8
//   outputs. q4: for each pair of groups g = 0..3, for each half h of the tile: bytes whose low nibbles are group 2g
//   and whose high
//       nibbles are group 2g + 1
//   q8: for each group g = 0..7, for each half h: signed bytes
// Float formats, for each input: 16 weights in the type of the file.
//
// Activations q8, one row: i8 q[n_in], then for each block {float d, float d * (sum of its q)}; x is about d q.
//
// There are constants here and no functions: this header is compiled with and without AVX2, and a function emitted by
// the former must not be linked into the latter.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::avx2 {

inline constexpr std::uint32_t tile = 16;
inline constexpr std::uint32_t lanes = 8;
inline constexpr std::uint32_t block = 32;

/// Bytes of one block (block formats) or of one input (float formats) of a tile.
template <weight_type Type>
inline constexpr std::size_t tile_step_bytes = tile*(Type == weight_type::f32    ? 4
                                                     : Type == weight_type::f16  ? 2
                                                     : Type == weight_type::bf16 ? 2
                                                     : Type == weight_type::q8_0 ? 2 + block
                                                     : Type == weight_type::q4_0 ? 2 + block / 2
                                                                                 : 4 + block / 2);

}  // namespace troupe::kernels::avx2
