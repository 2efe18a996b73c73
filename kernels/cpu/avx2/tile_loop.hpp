// The loops around a linear kernel: which rows meet which tile, in an order that keeps what is reused in the caches.
// A kernel computes Rows rows of one tile: kernel::template compute<Rows>(n_in, tile weights, rows, stride, out,
// y_stride).
#pragma once

#include "kernels/cpu/avx2/functions.hpp"
#include "kernels/cpu/avx2/layout.hpp"

#include <immintrin.h>

namespace troupe::kernels::avx2 {
namespace {

/// Activations that stay in the second-level cache while all tiles pass by.
constexpr std::size_t panel_bytes = 192 * 1024;

template <class Kernel, int Rows>
void compute_rows(const linear_args& args, const std::byte* weights, std::size_t row, std::uint32_t out) {
  const std::byte* rows = args.activations + row * args.stride;
  float* y = args.y + row * args.y_stride + out;
  if (out + tile <= args.out_end) {
    Kernel::template compute<Rows>(args.n_in, weights, rows, args.stride, y, args.y_stride);
    return;
  }
  float whole[Rows * tile];
  Kernel::template compute<Rows>(args.n_in, weights, rows, args.stride, whole, tile);
  for (std::size_t r = 0; r < Rows; ++r)
    __builtin_memcpy(y + r * args.y_stride, whole + r * tile, (args.out_end - out) * sizeof(float));
}

/// At most Kernel::most_rows rows of one tile.
template <class Kernel, int Rows = Kernel::most_rows>
void compute_some_rows(const linear_args& args, const std::byte* weights, std::size_t row, std::size_t n_rows,
                       std::uint32_t out) {
  if constexpr (Rows > 0) {
    if (n_rows == Rows) {
      compute_rows<Kernel, Rows>(args, weights, row, out);
    } else {
      compute_some_rows<Kernel, Rows - 1>(args, weights, row, n_rows, out);
    }
  }
}

template <class Kernel>
void for_each_tile(const linear_args& args) {
  constexpr std::size_t most = Kernel::most_rows;
  const std::size_t in_panel = panel_bytes / args.stride / most * most;
  const std::size_t panel = in_panel ? in_panel : most;
  const std::size_t tile_bytes = Kernel::tile_bytes(args.n_in);
  for (std::size_t first = 0; first < args.n_rows; first += panel) {
    const std::size_t last = first + panel < args.n_rows ? first + panel : args.n_rows;
    for (std::uint32_t out = args.out_begin; out < args.out_end; out += tile) {
      const std::byte* weights = args.packed + out / tile * tile_bytes;
      for (std::size_t row = first; row < last; row += most)
        compute_some_rows<Kernel>(args, weights, row, row + most < last ? most : last - row, out);
    }
  }
}

}  // namespace
}  // namespace troupe::kernels::avx2
