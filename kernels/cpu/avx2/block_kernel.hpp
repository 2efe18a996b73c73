// What the kernels of all block formats do alike: a block's products are summed as integers, exactly, and then added to
// the sums with the block's scales:
//
//   y += (d_w d_x) sum(w x) + m_w (d_x sum(x))     the second term only where the format has offsets
//
// In the K formats w is a code times the whole-number scale of its 16 or 32 weights, which madd multiplies for nothing.
//
// Both halves of a tile go together, so that an activation is broadcast once for 16 outputs. The statements for a row
// are the same whatever Rows is, integers are exact and the two additions of a block are explicit FMAs: the bits of a
// row do not depend on its neighbours.
//
// A format says:
//
//   static constexpr weight_type type;
//   static constexpr int streams;          // see tile_loop.hpp
//   static constexpr int most_rows;        // that fit the registers
//   static constexpr bool has_offset;
//   static __m256 offset(const std::byte* step, const std::byte* block, int h, __m256 d);
//       // m of half h, if has_offset
//   template <int Rows> static void multiply(const std::byte* block, const std::byte* const (&rows)[Rows],
//                                            std::size_t k, __m256i (&integers)[Rows][2]);
//       // integers[r][h]: for the 8 outputs of half h the sum of weight times activation over inputs [k, k + 32)
//
// step: where d[16] is; block: where the scales of the 32 inputs, or else their codes are.
#pragma once

#include "kernels/cpu/avx2/ymm_tile.hpp"

namespace troupe::kernels::avx2 {
namespace {

[[gnu::always_inline]] inline __m256 load_halves(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

[[gnu::always_inline]] inline __m256i load_bytes(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// The value goes through a register here: what comes before it is done first. Left to itself the compiler makes a tree
/// of additions, which needs all products at once and more registers than there are.
[[gnu::always_inline]] inline void settle(__m256i& value) {
  asm("" : "+x"(value));
}

template <class Format>
struct block_kernel : ymm_tile {
  static constexpr int most_rows = Format::most_rows;
  static constexpr int streams = Format::streams;
  static constexpr step_layout layout = layout_of<Format::type>;
  static constexpr std::size_t step = tile_step_bytes<Format::type>;
  static constexpr std::uint32_t depth = layout.depth;
  static constexpr bool has_residuals = true;

  template <int Rows>
  [[gnu::always_inline]] static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows],
                                              std::uint32_t n_in, std::size_t k, __m256 (&sums)[Rows][2]) {
    const std::byte* at = weights + layout.header_bytes;
    for (std::uint32_t done = 0; done < depth; done += block) {
      const std::size_t input = k + done;
      add_block<Rows>(weights, at, rows, input, n_in + input / block * 2 * sizeof(float), sums);
      at += block_bytes;
    }
  }

  [[gnu::always_inline]] static std::uint32_t n_residuals(const std::byte* row, std::uint32_t n_in) {
    std::uint32_t n;
    __builtin_memcpy(&n, row + residuals_at(n_in), sizeof n);
    return n;
  }

  [[gnu::always_inline]] static void add_residual(const std::byte* tile_weights, const std::byte* row,
                                                  std::uint32_t n_in, std::uint32_t i, __m256 (&sums)[1][2]) {
    const std::byte* residual = row + residuals_at(n_in) + sizeof(std::uint32_t) + i * sizeof(residual_block);
    std::uint32_t b;
    __builtin_memcpy(&b, residual + offsetof(residual_block, block), sizeof b);
    constexpr std::uint32_t blocks = depth / block;  // of a step
    const std::byte* weights = tile_weights + b / blocks * step;
    const std::byte* rows[1] = {residual};
    add_block<1>(weights, weights + layout.header_bytes + b % blocks * block_bytes, rows, 0,
                 offsetof(residual_block, d), sums);
  }

 private:
  static constexpr std::size_t block_bytes = layout.scale_bytes + layout.code_bytes;

  [[gnu::always_inline]] static std::size_t residuals_at(std::uint32_t n_in) {
    return n_in + n_in / block * 2 * sizeof(float);
  }

  /// codes_at, scale_at: of the block's activations, from the beginning of each row.
  template <int Rows>
  [[gnu::always_inline]] static void add_block(const std::byte* weights, const std::byte* at,
                                               const std::byte* const (&rows)[Rows], std::size_t codes_at,
                                               std::size_t scale_at, __m256 (&sums)[Rows][2]) {
    __m256i integers[Rows][2];
    Format::template multiply<Rows>(at, rows, codes_at, integers);
    unrolled<2>([&](auto h) {
      const __m256 d = load_halves(weights + 16 * h);
      unrolled<Rows>([&](auto r) {
        const auto* scale = reinterpret_cast<const float*>(rows[r] + scale_at);
        const __m256 product = _mm256_mul_ps(d, _mm256_broadcast_ss(scale));
        sums[r][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers[r][h]), product, sums[r][h]);
        if constexpr (Format::has_offset)
          sums[r][h] = _mm256_fmadd_ps(Format::offset(weights, at, h, d), _mm256_broadcast_ss(scale + 1), sums[r][h]);
      });
    });
  }
};

}  // namespace
}  // namespace troupe::kernels::avx2
