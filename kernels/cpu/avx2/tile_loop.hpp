// The loops around a linear kernel: which rows meet which tile, in an order that suits the caches and the prefetchers.
//
// A kernel says how one step of its weights (a block of 32 inputs, or one input) is added to the sums of Rows rows:
//
//   struct kernel {
//     using sums;                            // of a row and a tile: 16 floats in the vectors of the instruction set
//     static void clear(sums& one);
//     static void load(const float* from, sums& one);
//     static void store(const sums& one, float* to);
//     static constexpr int most_rows;        // that fit the registers
//     static constexpr int streams;          // tiles that a single row meets together, see multiply_row
//     static constexpr std::size_t step;     // bytes of a tile a step
//     static constexpr std::uint32_t depth;  // inputs of a step
//     template <int Rows>
//     static void add_step(const std::byte* weights, const std::byte* const (&rows)[Rows], std::uint32_t n_in,
//                          std::size_t k, sums (&all)[Rows]);  // of inputs [k, k + depth)
//     static constexpr bool has_residuals;   // rows may have blocks of a second term (layout.hpp): if so,
//     static std::uint32_t n_residuals(const std::byte* row, std::uint32_t n_in);
//     static void add_residual(const std::byte* tile_weights, const std::byte* row, std::uint32_t n_in,
//                              std::uint32_t i, sums (&all)[1]);
//   };
//
// Whatever the loop, an output is its steps in order from 0 and then its residuals in order. The loops of AVX-512 are
// these too.
#pragma once

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"
#include "kernels/cpu/avx2/unrolled.hpp"

namespace troupe::kernels::avx2 {
namespace {

/// Activations that stay in the second-level cache while all tiles pass by.
constexpr std::size_t panel_bytes = 192 * 1024;

template <class Kernel>
std::size_t bytes_of_tile(std::uint32_t n_in) {
  return n_in / Kernel::depth * Kernel::step;
}

template <class Kernel, int Rows>
[[gnu::always_inline]] inline void clear(typename Kernel::sums (&all)[Rows]) {
  unrolled<Rows>([&](auto r) { Kernel::clear(all[r]); });
}

/// Adds the second terms of a row to its sums of a tile.
template <class Kernel>
[[gnu::always_inline]] inline void add_residuals(const std::byte* tile_weights, const std::byte* row,
                                                 std::uint32_t n_in, float* sums) {
  if constexpr (Kernel::has_residuals) {
    const std::uint32_t n = Kernel::n_residuals(row, n_in);
    if (n == 0) return;
    typename Kernel::sums all[1];
    Kernel::load(sums, all[0]);
    for (std::uint32_t i = 0; i < n; ++i)
      Kernel::add_residual(tile_weights, row, n_in, i, all);
    Kernel::store(all[0], sums);
  }
}

/// Rows [row, row + Rows) times the tile of outputs from `out`. flatten, here and below: what add_step and add_residual
/// share would be a function that both call, and its vectors would go through memory.
template <class Kernel, int Rows>
[[gnu::flatten]] void compute(const linear_args& args, std::size_t row, std::uint32_t out) {
  const std::byte* const tile_weights = args.packed + out / tile * bytes_of_tile<Kernel>(args.n_in);
  const std::byte* weights = tile_weights;
  const std::byte* rows[Rows];
  unrolled<Rows>([&](auto r) {
    rows[r] = args.activations + (row + r) * args.stride;
    asm(""
        : "+r"(rows[r]));  // a register each: multiples of the stride would be worked out, and spilled, at every step
  });
  typename Kernel::sums sums[Rows];
  clear<Kernel>(sums);
  for (std::size_t k = 0; k < args.n_in; k += Kernel::depth) {
    Kernel::template add_step<Rows>(weights, rows, args.n_in, k, sums);
    weights += Kernel::step;
  }
  alignas(64) float outputs[Rows][tile];
  unrolled<Rows>([&](auto r) { Kernel::store(sums[r], outputs[r]); });
  const std::uint32_t n_out = args.out_end - out < tile ? args.out_end - out : tile;
  for (int r = 0; r < Rows; ++r) {
    add_residuals<Kernel>(tile_weights, rows[r], args.n_in, outputs[r]);
    __builtin_memcpy(args.y + (row + r) * args.y_stride + out, outputs[r], n_out * sizeof(float));
  }
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
[[gnu::flatten]] void compute_streams(const linear_args& args, std::uint32_t out, std::uint32_t apart) {
  constexpr int streams = Kernel::streams;
  const std::byte* const tile_weights = args.packed + out / tile * bytes_of_tile<Kernel>(args.n_in);
  const std::byte* weights = tile_weights;
  const std::size_t bytes_apart = apart / tile * bytes_of_tile<Kernel>(args.n_in);
  typename Kernel::sums sums[streams][1];
  unrolled<streams>([&](auto s) { clear<Kernel>(sums[s]); });
  const std::byte* rows[1] = {args.activations};
  for (std::size_t k = 0; k < args.n_in; k += Kernel::depth) {
    unrolled<streams>(
        [&](auto s) { Kernel::template add_step<1>(weights + s * bytes_apart, rows, args.n_in, k, sums[s]); });
    weights += Kernel::step;
  }
  unrolled<streams>([&](auto s) { Kernel::store(sums[s][0], args.y + out + s * apart); });
  for (int s = 0; s < streams; ++s)
    add_residuals<Kernel>(tile_weights + s * bytes_apart, rows[0], args.n_in, args.y + out + s * apart);
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
