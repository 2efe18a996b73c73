// Seeded randomness without state: a number is a function of (seed, index), so that the token at index i of a stream is
// drawn alike wherever and whenever it is drawn.
#pragma once

#include <cstdint>

namespace troupe {

/// 64 well-mixed bits for (seed, index). SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) over both.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index);

/// Uniform in [0, 1), 53 bits.
double random_unit(std::uint64_t seed, std::uint64_t index);

/// A generator for code that wants a stream (workload generators, tests): satisfies std::uniform_random_bit_generator.
class random_stream {
 public:
  using result_type = std::uint64_t;
  explicit random_stream(std::uint64_t seed) : seed_(seed) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return random_bits(seed_, index_++); }
  double unit() { return random_unit(seed_, index_++); }
  /// Uniform in [0, bound); 0 for bound 0.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

}  // namespace troupe
