// Packing, and the choice of a kernel by weight type. No intrinsics: compiled for any x86-64.
#include "base/assert.hpp"
#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"

#include <algorithm>
#include <cstring>

namespace troupe::kernels::avx2 {
namespace {

std::size_t step_bytes(weight_type type) {
  switch (type) {
    case weight_type::f32:
      return tile_step_bytes<weight_type::f32>;
    case weight_type::f16:
    case weight_type::bf16:
      return tile_step_bytes<weight_type::f16>;
    case weight_type::q8_0:
      return tile_step_bytes<weight_type::q8_0>;
    case weight_type::q4_0:
      return tile_step_bytes<weight_type::q4_0>;
    case weight_type::q4_1:
      return tile_step_bytes<weight_type::q4_1>;
  }
  return 0;
}

bool is_block_format(weight_type type) {
  return type == weight_type::q8_0 || type == weight_type::q4_0 || type == weight_type::q4_1;
}

std::size_t tile_bytes(weight_type type, std::uint32_t n_in) {
  return step_bytes(type) * (is_block_format(type) ? n_in / block : n_in);
}

/// The nibble of weight i of a block: low nibbles are weights 0..15, high nibbles 16..31.
unsigned nibble(const std::byte* q, std::uint32_t i) {
  const auto byte = std::to_integer<unsigned>(q[i % 16]);
  return i < 16 ? byte & 15u : byte >> 4;
}

/// Places the quants of one block of one output. lane: 0..15 in the tile.
void place_quants(weight_type type, const std::byte* q, std::uint32_t lane, std::byte* to) {
  std::byte* half = to + lane / lanes * 32 + lane % lanes * 4;
  for (std::uint32_t i = 0; i < 4; ++i) {
    if (type == weight_type::q8_0) {
      for (std::uint32_t g = 0; g < 8; ++g)
        half[g * 64 + i] = q[g * 4 + i];
    } else {
      for (std::uint32_t g = 0; g < 4; ++g)
        half[g * 64 + i] = static_cast<std::byte>(nibble(q, g * 8 + i) | nibble(q, g * 8 + 4 + i) << 4);
    }
  }
}

void pack_blocks(weight_type type, const std::byte* row, std::uint32_t n_blocks, std::uint32_t lane, std::byte* to) {
  const std::size_t n_scales = type == weight_type::q4_1 ? 2 : 1;
  const std::size_t from_step = row_bytes(type, block);
  for (std::uint32_t b = 0; b < n_blocks; ++b) {
    const std::byte* from = row + b * from_step;
    std::byte* at = to + b * step_bytes(type);
    for (std::size_t s = 0; s < n_scales; ++s)
      std::memcpy(at + (s * tile + lane) * 2, from + 2 * s, 2);
    place_quants(type, from + 2 * n_scales, lane, at + n_scales * tile * 2);
  }
}

void pack_floats(std::size_t element, const std::byte* row, std::uint32_t n_in, std::uint32_t lane, std::byte* to) {
  for (std::uint32_t k = 0; k < n_in; ++k)
    std::memcpy(to + (k * std::size_t{tile} + lane) * element, row + k * element, element);
}

}  // namespace

std::size_t packed_bytes(weight_type type, std::uint32_t n_out, std::uint32_t n_in) {
  return (n_out + std::size_t{tile} - 1) / tile * tile_bytes(type, n_in);
}

void pack_linear(weight_type type, const std::byte* rows, std::uint32_t n_out, std::uint32_t n_in,
                 std::uint32_t row_begin, std::uint32_t row_end, std::byte* packed) {
  TROUPE_ASSERT(row_begin <= row_end && row_end <= n_out, "rows past the end of the matrix");
  TROUPE_ASSERT(row_begin % tile == 0, "threads share the work in whole tiles");
  TROUPE_ASSERT(!is_block_format(type) || n_in % block == 0, "a row of a block format is a whole number of blocks");
  for (std::uint32_t first = row_begin; first < row_end; first += tile) {
    std::byte* to = packed + first / tile * tile_bytes(type, n_in);
    const std::uint32_t n_lanes = std::min(tile, row_end - first);
    if (n_lanes < tile) std::memset(to, 0, tile_bytes(type, n_in));
    for (std::uint32_t lane = 0; lane < n_lanes; ++lane) {
      const std::byte* row = rows + (std::size_t{first} + lane) * row_bytes(type, n_in);
      if (is_block_format(type)) {
        pack_blocks(type, row, n_in / block, lane, to);
      } else {
        pack_floats(row_bytes(type, 1), row, n_in, lane, to);
      }
    }
  }
}

activation_format activation_format_for(weight_type type) {
  return is_block_format(type) ? activation_format::q8 : activation_format::f32;
}

std::size_t activation_bytes(activation_format format, std::uint32_t n_in) {
  const std::size_t bytes =
      format == activation_format::q8 ? n_in + n_in / block * 2 * sizeof(float) : n_in * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

void prepare_activations(activation_format format, const float* x, std::size_t x_stride, std::size_t n_rows,
                         std::uint32_t n_in, std::byte* activations) {
  const std::size_t stride = activation_bytes(format, n_in);
  TROUPE_ASSERT(format == activation_format::f32 || n_in % block == 0, "activations q8 come in whole blocks");
  for (std::size_t r = 0; r < n_rows; ++r) {
    if (format == activation_format::q8) {
      quantize_row(x + r * x_stride, n_in, activations + r * stride);
    } else {
      std::memcpy(activations + r * stride, x + r * x_stride, n_in * sizeof(float));
    }
  }
}

void linear(const packed_linear& w, const std::byte* activations, std::size_t n_rows, std::uint32_t out_begin,
            std::uint32_t out_end, float* y, std::size_t y_stride) {
  TROUPE_ASSERT(out_begin <= out_end && out_end <= w.n_out, "outputs past the end of the matrix");
  TROUPE_ASSERT(w.n_in > 0, "a matrix without inputs has no product");
  TROUPE_ASSERT(out_begin % tile == 0, "a range of outputs begins at a tile");
  const linear_args args = {.n_in = w.n_in,
                            .packed = w.data,
                            .activations = activations,
                            .stride = activation_bytes(activation_format_for(w.type), w.n_in),
                            .n_rows = n_rows,
                            .out_begin = out_begin,
                            .out_end = out_end,
                            .y = y,
                            .y_stride = y_stride};
  switch (w.type) {
    case weight_type::f32:
      return linear_f32(args);
    case weight_type::f16:
      return linear_f16(args);
    case weight_type::bf16:
      return linear_bf16(args);
    case weight_type::q8_0:
      return linear_q8_0(args);
    case weight_type::q4_0:
      return linear_q4_0(args);
    case weight_type::q4_1:
      return linear_q4_1(args);
  }
}

}  // namespace troupe::kernels::avx2
