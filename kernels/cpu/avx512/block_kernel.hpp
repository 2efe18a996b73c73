// Matrices of 4 to 8 bits times rows of 8-bit activations, all block formats alike:
//
//   y += (d_w s) d_x sum((code - zero) x) + (m_w) (d_x sum(x))     the second term only where the format has offsets
//
// vpdpbusd multiplies four unsigned codes with four signed activations in every lane and adds the products to 32 bits.
// Nothing saturates: the largest sum of a block, 32 * 255 * 127 and where it began, is below 2^21. So a block is eight
// of these a row, one for each group of 4 inputs, whatever its bits; what remains is to unpack the codes, once for all
// rows. The sum is exact as a float too, and so is d_w s (11 bits times 8): the rounding of a block is that of the
// product of its scales and of the one or two FMAs.
//
// The statements for a row are the same whatever Rows is: its bits do not depend on its neighbours.
#pragma once

#include "kernels/cpu/avx512/activations.hpp"
#include "kernels/cpu/avx512/zmm_tile.hpp"

namespace troupe::kernels::avx512 {
namespace {

/// Codes of one group as unsigned bytes; codes: where those of the block begin.
template <int Bits, int Group>
[[gnu::always_inline]] inline __m512i load_codes(const std::byte* codes) {
  if constexpr (Bits == 8) {  // stored signed
    return _mm512_xor_si512(_mm512_loadu_si512(codes + 64 * Group), _mm512_set1_epi8(-128));
  } else {
    const __m512i both = _mm512_loadu_si512(codes + 64 * (Group / 2));
    const __m512i nibbles = _mm512_and_si512(Group % 2 ? _mm512_srli_epi16(both, 4) : both, _mm512_set1_epi8(15));
    if constexpr (Bits == 4) return nibbles;
    constexpr int high_bits = Bits - 4;
    constexpr int groups = 8 / (high_bits ? high_bits : 1);  // in a plane of high bits
    constexpr int shift = 4 - Group % groups * high_bits;
    const __m512i plane = _mm512_loadu_si512(codes + 64 * (4 + Group / groups));
    const __m512i moved = shift >= 0 ? _mm512_slli_epi16(plane, shift) : _mm512_srli_epi16(plane, -shift);
    const __m512i mask = _mm512_set1_epi8(((1 << high_bits) - 1) << 4);
    return _mm512_or_si512(nibbles, _mm512_and_si512(moved, mask));
  }
}

/// Where the integers of a product begin: at minus the code's zero times the sum of the activations.
template <weight_type Type>
[[gnu::always_inline]] inline __m512i beginning(const std::byte* activations, int part) {
  using line = activation_block;
  if constexpr (Type == weight_type::q4_0) return broadcast_bits(activations + offsetof(line, minus_8_sum));
  if constexpr (Type == weight_type::q5_0) return broadcast_bits(activations + offsetof(line, minus_16_sum));
  if constexpr (Type == weight_type::q8_0) return broadcast_bits(activations + offsetof(line, minus_128_sum));
  if constexpr (Type == weight_type::q6_k) return broadcast_bits(activations + offsetof(line, minus_32_sum) + 4 * part);
  return _mm512_setzero_si512();
}

template <weight_type Type>
struct block_kernel : zmm_tile {
  static constexpr step_layout layout = layout_of<Type>;
  static constexpr std::size_t step = tile_step_bytes<Type>;
  static constexpr std::uint32_t depth = layout.depth;
  static constexpr int streams = 4;
  static constexpr bool has_residuals = true;
  static constexpr int most_rows = 8;  // 16 sums; 12 would fit the registers, and be 5 % faster for twice the code

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows],
                                              std::uint32_t /*n_in*/, std::size_t k, __m512 (&all)[Rows]) {
    const std::byte* at = weights + layout.header_bytes;
    for (std::uint32_t done = 0; done < depth; done += avx2::block) {
      add_block<Rows>(weights, at, rows, (k + done) / avx2::block * sizeof(activation_block), all);
      at += block_bytes;
    }
  }

  [[gnu::always_inline]] static std::uint32_t n_residuals(const std::byte* row, std::uint32_t /*n_in*/) {
    return load_u32(row + offsetof(activation_block, residual));
  }

  [[gnu::always_inline]] static void add_residual(const std::byte* tile_weights, const std::byte* row,
                                                  std::uint32_t n_in, std::uint32_t i, __m512 (&all)[1]) {
    const std::byte* residual = row + (n_in / avx2::block + i) * sizeof(activation_block);
    const std::uint32_t b = load_u32(residual + offsetof(activation_block, residual));
    constexpr std::uint32_t blocks = depth / avx2::block;  // of a step
    const std::byte* weights = tile_weights + b / blocks * step;
    const std::byte* rows[1] = {residual};
    add_block<1>(weights, weights + layout.header_bytes + b % blocks * block_bytes, rows, 0, all);
  }

 private:
  static constexpr std::size_t block_bytes = layout.scale_bytes + layout.code_bytes;
  static constexpr bool has_offset = layout.header_bytes > 2 * tile;
  static constexpr int parts = Type == weight_type::q6_k ? 2 : 1;  // of a block, each with a scale of its own

  /// weights: where d of the step is; at: where the block is; line: of the activations.
  template <int Rows>
  [[gnu::always_inline]] static void add_block(const std::byte* weights, const std::byte* at,
                                               const std::byte* const (&rows)[Rows], std::size_t line,
                                               __m512 (&all)[Rows]) {
    constexpr int groups = 8 / parts;
    unrolled<parts>([&](auto part) {
      __m512i integers[Rows];
      unrolled<Rows>([&](auto r) { integers[r] = beginning<Type>(rows[r] + line, part); });
      unrolled<groups>([&](auto g) {
        constexpr int group = part * groups + g;
        const __m512i codes = load_codes<layout.code_bits, group>(at + layout.scale_bytes);
        unrolled<Rows>([&](auto r) {
          integers[r] = _mm512_dpbusd_epi32(integers[r], codes, broadcast_bits(rows[r] + line + 4 * group));
        });
      });
      const __m512 scale = scale_of(weights, at, part);
      unrolled<Rows>([&](auto r) {
        const __m512 product = _mm512_mul_ps(scale, broadcast_float(rows[r] + line + offsetof(activation_block, d)));
        all[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers[r]), product, all[r]);
      });
    });
    if constexpr (has_offset) {
      const __m512 offset = offset_of(weights, at);
      unrolled<Rows>([&](auto r) {
        const __m512 d_sum = broadcast_float(rows[r] + line + offsetof(activation_block, d_sum));
        all[r] = _mm512_fmadd_ps(offset, d_sum, all[r]);
      });
    }
  }

  /// d, or d s in the K formats.
  [[gnu::always_inline]] static __m512 scale_of(const std::byte* weights, const std::byte* at, int part) {
    const __m512 d = load_halves(weights);
    if constexpr (layout.scale_bytes == 0) return d;
    return _mm512_mul_ps(d, Type == weight_type::q6_k ? load_i8_floats(at + tile * part) : load_u8_floats(at));
  }

  /// m, or -n u in the K formats.
  [[gnu::always_inline]] static __m512 offset_of(const std::byte* weights, const std::byte* at) {
    const __m512 m = load_halves(weights + 2 * tile);
    if constexpr (layout.scale_bytes == 0) return m;
    return _mm512_mul_ps(_mm512_sub_ps(_mm512_setzero_ps(), m), load_u8_floats(at + tile));
  }
};

}  // namespace
}  // namespace troupe::kernels::avx512
