// The loops around a linear kernel: which rows meet which tile, in an order that suits the caches and the prefetchers.
//
// A kernel says how one step of its weights (a block of 32 inputs, or one input) is added to the sums of Rows rows:
//
//   struct kernel {
//     static constexpr int most_rows;        // that fit the registers
//     static constexpr int streams;          // tiles that a single row meets together, see multiply_row
//     static constexpr std::size_t step;     // bytes of a tile a step
//     static constexpr std::uint32_t depth;  // inputs of a step
//     template <int Rows>
//     static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows], std::uint32_t n_in,
//                          std::size_t k, __m256 (&sums)[Rows][2]);  // of inputs [k, k + depth)
//   };
//
// Whatever the loop, an output is its steps in order from 0.
#pragma once

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"
#include "kernels/cpu/avx2/unrolled.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// Activations that stay in the second-level cache while all tiles pass by.
constexpr std::size_t panel_bytes = 192 * 1024;

template <class Kernel>
std::size_t bytes_of_tile(std::uint32_t n_in) {
  return n_in / Kernel::depth * Kernel::step;
}

template <int Rows>
[[gnu::always_inline]] inline void clear(__m256 (&sums)[Rows][2]) {
  unrolled<Rows>([&](auto r) { sums[r][0] = sums[r][1] = _mm256_setzero_ps(); });
}

/// Four neighbouring bytes of an activation row in every lane, to meet the same inputs of 8 outputs.
[[gnu::always_inline]] inline __m256i broadcast(const std::byte* four) {
  int bits;
  __builtin_memcpy(&bits, four, 4);
  return _mm256_set1_epi32(bits);
}

/// sums to rows of 16 outputs, or of the first n_out of them.
template <int Rows>
[[gnu::always_inline]] inline void store(const __m256 (&sums)[Rows][2], float* y, std::size_t y_stride,
                                         std::uint32_t n_out) {
  unrolled<Rows>([&](auto r) {
    float* to = y + r * y_stride;
    if (n_out == tile) {
      _mm256_storeu_ps(to, sums[r][0]);
      _mm256_storeu_ps(to + lanes, sums[r][1]);
    } else {
      float whole[tile];
      _mm256_storeu_ps(whole, sums[r][0]);
      _mm256_storeu_ps(whole + lanes, sums[r][1]);
      __builtin_memcpy(to, whole, n_out * sizeof(float));
    }
  });
}

/// Rows [row, row + Rows) times the tile of outputs from `out`.
template <class Kernel, int Rows>
void compute(const linear_args& args, std::size_t row, std::uint32_t out) {
  const std::byte* weights = args.packed + out / tile * bytes_of_tile<Kernel>(args.n_in);
  const std::byte* rows[Rows];
  unrolled<Rows>([&](auto r) {
    rows[r] = args.activations + (row + r) * args.stride;
    asm(""
        : "+r"(rows[r]));  // a register each: multiples of the stride would be worked out, and spilled, at every step
  });
  __m256 sums[Rows][2];
  clear(sums);
  for (std::size_t k = 0; k < args.n_in; k += Kernel::depth) {
    Kernel::template add_step<Rows>(weights, rows, args.n_in, k, sums);
    weights += Kernel::step;
  }
  store(sums, args.y + row * args.y_stride + out, args.y_stride, args.out_end - out < tile ? args.out_end - out : tile);
}

/// At most Kernel::most_rows rows of one tile.
template <class Kernel, int Rows = Kernel::most_rows>
void compute_some(const linear_args& args, std::size_t row, std::size_t n_rows, std::uint32_t out) {
  if constexpr (Rows > 0) {
    if (n_rows == Rows) {
      compute<Kernel, Rows>(args, row, out);
    } else {
      compute_some<Kernel, Rows - 1>(args, row, n_rows, out);
    }
  }
}

/// A single row times Kernel::streams whole tiles, `apart` outputs from each other.
template <class Kernel>
void compute_streams(const linear_args& args, std::uint32_t out, std::uint32_t apart) {
  constexpr int streams = Kernel::streams;
  const std::byte* weights = args.packed + out / tile * bytes_of_tile<Kernel>(args.n_in);
  const std::size_t bytes_apart = apart / tile * bytes_of_tile<Kernel>(args.n_in);
  __m256 sums[streams][1][2];
  unrolled<streams>([&](auto s) { clear(sums[s]); });
  const std::byte* rows[1] = {args.activations};
  for (std::size_t k = 0; k < args.n_in; k += Kernel::depth) {
    unrolled<streams>(
        [&](auto s) { Kernel::template add_step<1>(weights + s * bytes_apart, rows, args.n_in, k, sums[s]); });
    weights += Kernel::step;
  }
  unrolled<streams>([&](auto s) { store(sums[s], args.y + out + s * apart, 0, tile); });
}

/// A single row reads every weight once, as fast as memory gives them: from several places at a time, because a
/// prefetcher follows each stream only so far ahead. On an EPYC of the third generation one core gets 13 GB/s from one
/// stream, 19 from two and 24 from four. bench_kernels has the numbers of this machine.
template <class Kernel>
void multiply_row(const linear_args& args) {
  constexpr int streams = Kernel::streams;
  const std::uint32_t apart = (args.out_end - args.out_begin) / tile / streams * tile;
  for (std::uint32_t out = 0; out < apart; out += tile)
    compute_streams<Kernel>(args, args.out_begin + out, apart);
  for (std::uint32_t out = args.out_begin + streams * apart; out < args.out_end; out += tile)
    compute<Kernel, 1>(args, 0, out);
}

template <class Kernel>
void multiply(const linear_args& args) {
  if (args.n_rows == 1) return multiply_row<Kernel>(args);
  constexpr std::size_t most = Kernel::most_rows;
  const std::size_t in_panel = panel_bytes / args.stride / most * most;
  const std::size_t panel = in_panel ? in_panel : most;
  for (std::size_t first = 0; first < args.n_rows; first += panel) {
    const std::size_t last = first + panel < args.n_rows ? first + panel : args.n_rows;
    for (std::uint32_t out = args.out_begin; out < args.out_end; out += tile)
      for (std::size_t row = first; row < last; row += most)
        compute_some<Kernel>(args, row, row + most < last ? most : last - row, out);
  }
}

}  // namespace
}  // namespace troupe::kernels::avx2
