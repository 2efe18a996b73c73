// Which tables the kernel tests walk: those this processor can run and, where it has no AVX-512, that table's source
// compiled a second time, over intrinsics that act AVX-512 out in AVX2 (avx512_emulation.hpp).
#pragma once

#include "kernels/table.hpp"

#include <span>

namespace troupe::kernels {

/// The reference first.
std::span<const table* const> tested_tables();

/// e^x as a table computes it, with its name.
struct tested_exponential {
  std::string_view isa;
  void (*exponential)(const float* x, std::size_t n, float* y);
};
std::span<const tested_exponential> tested_exponentials();

}  // namespace troupe::kernels
