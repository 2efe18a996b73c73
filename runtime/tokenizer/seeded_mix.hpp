// Hashing of numbers that a file may have chosen: mixed with a seed drawn at start, so that no file can choose them to
// collide.
#pragma once

#include <cstdint>
#include <random>

namespace troupe {

/// From the system, anew at every call.
inline std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

/// Stafford's variant 13 of MurmurHash3's finalizer: every bit of the key reaches every bit of the result.
constexpr std::uint64_t seeded_mix(std::uint64_t key, std::uint64_t seed) {
  std::uint64_t x = key ^ seed;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace troupe
