// What clients of a simulated cluster ask for: programs, each of one call or of several stages of calls.
#pragma once

#include "base/clock.hpp"
#include "base/generation.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::simulator {

struct workload_call {
  std::string step;  // kind of call within its workflow
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;  // nobody but the engine knows
  // Names of the prompt's first blocks, of prefix_block_tokens each: equal names, equal tokens.
  std::vector<std::uint64_t> prefix;
};

/// Tokens of a named block of a prompt, as Mooncake's traces have them.
inline constexpr std::uint32_t prefix_block_tokens = 512;

struct workload_program {
  duration arrival{0};  // since the beginning
  std::string kind;     // for the report: "chat", "agent", …
  std::string tenant;
  std::string workflow;  // empty: its one call stands alone
  service_objective objective;
  std::vector<std::vector<workload_call>> stages;  // the calls of a stage run side by side; the next waits for all
};

/// In the order of arrival.
using workload = std::vector<workload_program>;

/// A program of one call.
workload_program lone_request(duration arrival, std::uint32_t prompt_tokens, std::uint32_t output_tokens);

}  // namespace troupe::simulator
