#include "kernels/block_codes.hpp"

#include <cstring>

namespace troupe::kernels {
namespace {

std::uint16_t load_u16(const std::byte* p) {
  std::uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

unsigned load_u8(const std::byte* p) {
  return std::to_integer<unsigned>(*p);
}

/// 16 bytes of nibbles: low nibbles are weights 0..15, high nibbles 16..31. Eight at a time, since loading a model goes
/// through here.
void unpack_nibbles(const std::byte* q, block_codes& to) {
  constexpr std::uint64_t low_nibbles = 0x0f0f0f0f0f0f0f0f;
  for (std::size_t i = 0; i < 16; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, q + i, sizeof eight);
    const std::uint64_t low = eight & low_nibbles;
    const std::uint64_t high = eight >> 4 & low_nibbles;
    std::memcpy(to.code + i, &low, sizeof low);
    std::memcpy(to.code + 16 + i, &high, sizeof high);
  }
}

/// Bit i of four bytes is the fifth bit of weight i.
void add_fifth_bits(const std::byte* bits, block_codes& to) {
  for (std::size_t i = 0; i < 32; ++i)
    to.code[i] = static_cast<std::uint8_t>(to.code[i] | (load_u8(bits + i / 8) >> i % 8 & 1u) << 4);
}

/// Of the eight pairs of 6 bits in 12 bytes, the first four are the low 6 bits of bytes 0..7; the others have their low
/// nibbles in bytes 8..11 and their two high bits on top of bytes 0..7.
void unpack_scale_and_minimum(const std::byte* packed, std::size_t index, block_codes& to) {
  unsigned scale, minimum;
  if (index < 4) {
    scale = load_u8(packed + index) & 63u;
    minimum = load_u8(packed + index + 4) & 63u;
  } else {
    const unsigned low = load_u8(packed + index + 4);
    scale = (low & 15u) | load_u8(packed + index - 4) >> 6 << 4;
    minimum = low >> 4 | load_u8(packed + index) >> 6 << 4;
  }
  to.scale[0] = to.scale[1] = static_cast<int>(scale);
  to.minimum = -static_cast<int>(minimum);
}

/// Each 32 bytes of q hold 64 weights: 32 in their low nibbles, the next 32 in their high ones. Bit `index` of h is a
/// fifth bit.
void unpack_k(const std::byte* q, const std::byte* fifth_bits, std::size_t index, block_codes& to) {
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned nibble = load_u8(q + index / 2 * 32 + i) >> index % 2 * 4 & 15u;
    const unsigned high = fifth_bits ? load_u8(fifth_bits + i) >> index & 1u : 0u;
    to.code[i] = static_cast<std::uint8_t>(nibble | high << 4);
  }
}

/// Each 128 weights have 64 bytes of q, low nibbles first, and 32 bytes of h with two bits for each of four 32s.
void unpack_q6_k(const std::byte* block, std::size_t index, block_codes& to) {
  const std::byte* q = block + index / 4 * 64 + index % 2 * 32;
  const std::byte* h = block + 128 + index / 4 * 32;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned low = load_u8(q + i) >> index % 4 / 2 * 4 & 15u;
    const unsigned high = load_u8(h + i) >> index % 4 * 2 & 3u;
    to.code[i] = static_cast<std::uint8_t>(low | high << 4);
  }
  for (std::size_t half = 0; half < 2; ++half)
    to.scale[half] = static_cast<std::int8_t>(block[192 + index * 2 + half]);
  to.d = load_u16(block + 208);
  to.zero = 32;
}

}  // namespace

block_codes unpack_codes(weight_type type, const std::byte* row, std::size_t index) {
  const weight_block shape = block_of(type);
  const std::byte* block = row + index * 32 / shape.weights * shape.bytes;
  const std::size_t inside = index % (shape.weights / 32);  // which 32 of the block
  block_codes to;
  if (type != weight_type::q6_k) to.d = load_u16(block);
  switch (type) {
    case weight_type::f32:
    case weight_type::f16:
    case weight_type::bf16:
      break;
    case weight_type::q8_0:
      to.zero = 128;
      for (std::size_t i = 0; i < 32; ++i)
        to.code[i] = static_cast<std::uint8_t>(load_u8(block + 2 + i) ^ 128u);
      break;
    case weight_type::q4_0:
      to.zero = 8;
      unpack_nibbles(block + 2, to);
      break;
    case weight_type::q4_1:
      to.offset = load_u16(block + 2);
      unpack_nibbles(block + 4, to);
      break;
    case weight_type::q5_0:
      to.zero = 16;
      unpack_nibbles(block + 6, to);
      add_fifth_bits(block + 2, to);
      break;
    case weight_type::q5_1:
      to.offset = load_u16(block + 2);
      unpack_nibbles(block + 8, to);
      add_fifth_bits(block + 4, to);
      break;
    case weight_type::q4_k:
    case weight_type::q5_k:
      to.offset = load_u16(block + 2);
      unpack_scale_and_minimum(block + 4, inside, to);
      if (type == weight_type::q4_k) unpack_k(block + 16, nullptr, inside, to);
      if (type == weight_type::q5_k) unpack_k(block + 48, block + 16, inside, to);
      break;
    case weight_type::q6_k:
      unpack_q6_k(block, inside, to);
      break;
  }
  return to;
}

}  // namespace troupe::kernels
