// How the AVX-512 table holds rows of 8-bit activations: one cache line for each 32 inputs.
//
// vpdpbusd multiplies unsigned codes, so a format that centres its codes at z has w = d (code - z), and a product
// should be d (sum(code x) - z sum(x)). The second part depends on the activations alone: it is worked out here, once a
// row, and the integers of a product begin at it instead of 0. They stay exact, and it costs the kernels nothing.
//
// After the blocks of a row come those of its residuals (avx2/layout.hpp says what and when).
//
// Data only, no functions: this header is compiled with and without AVX-512.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::kernels::avx512 {

struct alignas(64) activation_block {
  std::int8_t q[32];             // -127 .. 127
  float d;                       // x is about d q
  float d_sum;                   // d (sum of q), what an offset is multiplied by
  std::int32_t minus_8_sum;      // -8 (sum of q), where a product of q4_0 begins
  std::int32_t minus_16_sum;     // of q5_0
  std::int32_t minus_128_sum;    // of q8_0
  std::int32_t minus_32_sum[2];  // of q6_k: of q[0..15] and of q[16..31], which have scales of their own
  std::uint32_t residual;        // in the first block of a row: how many residuals it has; in these: of which block
};
static_assert(sizeof(activation_block) == 64);

}  // namespace troupe::kernels::avx512
