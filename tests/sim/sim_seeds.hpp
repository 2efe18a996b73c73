// How many seeds a test of the simulator walks, and how it says what went wrong in one.
#pragma once

#include "catch.hpp"
#include "simulator/simulated_world.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace troupe::simulator {

/// TROUPE_SIM_SEEDS of the environment, or what a normal run takes.
inline std::uint64_t n_seeds(std::uint64_t normally) {
  const char* const text = std::getenv("TROUPE_SIM_SEEDS");
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : normally;
}
/// TROUPE_SIM_SEED: the only one to run.
inline std::uint64_t first_seed() {
  const char* const text = std::getenv("TROUPE_SIM_SEED");
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : 1;
}
inline std::uint64_t last_seed(std::uint64_t normally) {
  return std::getenv("TROUPE_SIM_SEED") != nullptr ? first_seed() : n_seeds(normally);
}

inline std::string describe(const std::vector<std::string>& violations) {
  std::string text;
  for (const auto& violation : violations)
    text += violation + "\n";
  return text;
}

}  // namespace troupe::simulator
