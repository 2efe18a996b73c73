// One matrix of a model as the kernels read it, and how all threads pack it. Shared by every kind of model.
#pragma once

#include "kernels/table.hpp"
#include "runtime/parallel/thread_pool.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

struct linear_weights {
  kernels::packed_linear packed;
  kernels::activation_format format = kernels::activation_format::f32;
  std::vector<float> bias;  // (n_out), or empty
};

/// body(begin, end): ranges of outputs that are whole tiles of the table, over all threads.
template <class Body>
void for_each_row_range(const kernels::table& table, thread_pool& pool, std::uint32_t n_out, const Body& body) {
  const std::uint32_t n = std::max(1u, 64 / table.output_tile) * table.output_tile;
  pool.for_each_task((n_out + n - 1) / n, [&](std::size_t task, std::uint32_t) {
    const auto begin = static_cast<std::uint32_t>(task * n);
    body(begin, std::min(begin + n, n_out));
  });
}

/// Packs a matrix whose type and sizes are known. rows: as the type lies in files; target: packed_bytes of the table,
/// which the matrix then points to.
inline void pack_rows(const kernels::table& table, thread_pool& pool, const std::byte* rows, std::byte* target,
                      kernels::packed_linear& packed) {
  for_each_row_range(table, pool, packed.n_out, [&](std::uint32_t begin, std::uint32_t end) {
    table.pack_linear(packed.type, rows, packed.n_out, packed.n_in, begin, end, target);
  });
  packed.data = target;
}

}  // namespace troupe
