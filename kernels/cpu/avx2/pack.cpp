// From the rows of a model file to tiles (layout.hpp), once at load. No intrinsics: compiled for any x86-64.
#include "base/assert.hpp"
#include "kernels/block_codes.hpp"
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"

#include <algorithm>
#include <cstring>

namespace troupe::kernels::avx2 {
namespace {

struct packed_form {
  step_layout layout;
  std::size_t step_bytes;

  std::size_t tile_bytes(std::uint32_t n_in) const { return n_in / layout.depth * step_bytes; }
};

template <weight_type Type>
constexpr packed_form form = {layout_of<Type>, tile_step_bytes<Type>};

packed_form form_of(weight_type type) {
  switch (type) {
    case weight_type::f32:
      return form<weight_type::f32>;
    case weight_type::f16:
      return form<weight_type::f16>;
    case weight_type::bf16:
      return form<weight_type::bf16>;
    case weight_type::q8_0:
      return form<weight_type::q8_0>;
    case weight_type::q4_0:
      return form<weight_type::q4_0>;
    case weight_type::q4_1:
      return form<weight_type::q4_1>;
    case weight_type::q5_0:
      return form<weight_type::q5_0>;
    case weight_type::q5_1:
      return form<weight_type::q5_1>;
    case weight_type::q4_k:
      return form<weight_type::q4_k>;
    case weight_type::q5_k:
      return form<weight_type::q5_k>;
    case weight_type::q6_k:
      return form<weight_type::q6_k>;
  }
  return {};
}

/// Places the codes of 32 inputs of one output, a group of four in one word. lane: 0..15 in the tile.
void place_codes(const block_codes& codes, std::uint32_t bits, std::uint32_t lane, std::byte* to) {
  constexpr std::uint32_t every_byte = 0x01010101;
  std::byte* half = to + lane / lanes * 32 + lane % lanes * 4;
  const auto put = [&](std::uint32_t vector, std::uint32_t word) { std::memcpy(half + vector * 64, &word, 4); };
  std::uint32_t group[8];
  std::memcpy(group, codes.code, sizeof group);
  if (bits == 8) {
    for (std::uint32_t g = 0; g < 8; ++g)
      put(g, group[g] ^ 128 * every_byte);  // signed again
    return;
  }
  for (std::uint32_t g = 0; g < 4; ++g)
    put(g, (group[2 * g] & 15 * every_byte) | (group[2 * g + 1] & 15 * every_byte) << 4);
  const std::uint32_t high_bits = bits - 4;
  const std::uint32_t mask = ((1u << high_bits) - 1) * every_byte;
  for (std::uint32_t plane = 0; plane < high_bits; ++plane) {
    const std::uint32_t n_groups = 8 / high_bits;
    std::uint32_t word = 0;
    for (std::uint32_t g = 0; g < n_groups; ++g)
      word |= (group[plane * n_groups + g] >> 4 & mask) << g * high_bits;
    put(4 + plane, word);
  }
}

void pack_blocks(weight_type type, const packed_form& form, const std::byte* row, std::uint32_t n_in,
                 std::uint32_t lane, std::byte* to) {
  const step_layout& layout = form.layout;
  const std::uint32_t blocks = layout.depth / block;
  for (std::uint32_t b = 0; b < n_in / block; ++b) {
    const block_codes codes = unpack_codes(type, row, b);
    std::byte* step = to + b / blocks * form.step_bytes;
    std::memcpy(step + lane * 2, &codes.d, 2);
    if (layout.header_bytes > 2 * tile) std::memcpy(step + (tile + lane) * 2, &codes.offset, 2);
    std::byte* at = step + layout.header_bytes + b % blocks * (layout.scale_bytes + layout.code_bytes);
    if (layout.scale_bytes > 0) {
      const bool has_minimum = layout.header_bytes > 2 * tile;
      at[lane] = static_cast<std::byte>(codes.scale[0]);
      at[tile + lane] = static_cast<std::byte>(has_minimum ? -codes.minimum : codes.scale[1]);
    }
    place_codes(codes, layout.code_bits, lane, at + layout.scale_bytes);
  }
}

void pack_floats(std::size_t element, const std::byte* row, std::uint32_t n_in, std::uint32_t lane, std::byte* to) {
  for (std::uint32_t k = 0; k < n_in; ++k)
    std::memcpy(to + (k * std::size_t{tile} + lane) * element, row + k * element, element);
}

}  // namespace

std::size_t packed_bytes(weight_type type, std::uint32_t n_out, std::uint32_t n_in) {
  return (n_out + std::size_t{tile} - 1) / tile * form_of(type).tile_bytes(n_in);
}

void pack_linear(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                 std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed) {
  TROUPE_ASSERT(row_begin <= row_end && row_end <= n_out, "rows past the end of the matrix");
  TROUPE_ASSERT(row_begin % tile == 0, "threads share the work in whole tiles");
  TROUPE_ASSERT(n_in % block_of(type).weights == 0, "a row of a block format is a whole number of blocks");
  const packed_form form = form_of(type);
  const std::size_t tile_bytes = form.tile_bytes(n_in);
  for (std::uint32_t first = row_begin; first < row_end; first += tile) {
    std::byte* to = packed + first / tile * tile_bytes;
    const std::uint32_t n_lanes = std::min(tile, row_end - first);
    if (n_lanes < tile) std::memset(to, 0, tile_bytes);
    for (std::uint32_t lane = 0; lane < n_lanes; ++lane) {
      const std::byte* row = rows + (std::size_t{first} + lane) * row_bytes(type, n_in);
      if (is_block_format(type)) {
        pack_blocks(type, form, row, n_in, lane, to);
      } else {
        pack_floats(row_bytes(type, 1), row, n_in, lane, to);
      }
    }
  }
}

}  // namespace troupe::kernels::avx2
