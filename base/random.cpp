#include "base/random.hpp"

namespace troupe {
namespace {

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15ULL;
  return mix(mix(seed + golden) + (index + 1) * golden);
}

double random_unit(std::uint64_t seed, std::uint64_t index) {
  return static_cast<double>(random_bits(seed, index) >> 11) * 0x1.0p-53;
}

std::uint64_t random_stream::below(std::uint64_t bound) {
  // The high half of a 64 x 64 product: the bias is bound / 2^64.
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<wide>((*this)()) * bound) >> 64);
}

}  // namespace troupe
