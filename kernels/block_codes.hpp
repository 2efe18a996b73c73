// The block formats of model files, unpacked 32 weights at a time into one form:
//
//   w = d * scale * (code - zero) + offset * minimum        scale: of the weight's half of the 32
//
// d and offset are 16-bit floats; scale, minimum, code and zero small whole numbers, so that every factor of w but the
// last sum is exact in float. For packing and for the reference: nothing here is fast.
#pragma once

#include "kernels/types.hpp"

#include <cstddef>
#include <cstdint>

namespace troupe::kernels {

struct block_codes {
  std::uint16_t d = 0;       // f16
  std::uint16_t offset = 0;  // f16; the K formats subtract: their minimum is negative here
  int scale[2] = {1, 1};     // of weights 0..15 and 16..31
  int minimum = 1;
  int zero = 0;
  std::uint8_t code[32] = {};  // q8_0: the code plus 128, its zero
};

/// Weights [32 index, 32 index + 32) of a row of a block format.
block_codes unpack_codes(weight_type type, const std::byte* row, std::size_t index);

}  // namespace troupe::kernels
