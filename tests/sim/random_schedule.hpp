// One random life of a cluster: its shape, its clients, its operator and what befalls it, all from one seed.
#pragma once

#include "simulator/simulated_world.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::simulator {

struct schedule_outcome {
  std::uint64_t hash = 0;
  std::uint64_t n_messages = 0;
  std::vector<std::string> violations;
  // What came to pass, so that a test can demand that everything did.
  std::uint32_t n_requests = 0;
  std::uint32_t n_whole = 0;
  std::uint32_t n_lost = 0;  // ended as unavailable
  std::uint32_t n_moved = 0;
  std::uint32_t n_crashes = 0;
  std::uint32_t n_freezes = 0;
  std::uint32_t n_cuts = 0;
  std::uint32_t n_spoiled = 0;
  std::uint32_t n_engine_deaths = 0;
};

schedule_outcome run_schedule(std::uint64_t seed);

}  // namespace troupe::simulator
