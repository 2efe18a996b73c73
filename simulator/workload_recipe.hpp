// A workload by its description, so that it can be made anew for each seed: requests or programs of several stages with
// lengths from distributions, or a trace, replayed at its own times or with new ones. Several are made to last equally
// long and merged. Pure; the same recipes and seed give the same workload.
#pragma once

#include "simulator/workload.hpp"
#include "simulator/workload_generator.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace troupe::simulator {

struct workload_recipe {
  std::string kind;  // for the report; empty: what the trace says, or "request"
  std::string tenant;
  service_objective objective;
  std::size_t requests = 0;  // programs, with several calls or with one; 0: its share of all

  // Without a trace: `stages` of `calls` side by side, each with lengths of its own.
  lengths prompts{};
  lengths answers{};
  std::uint32_t stages = 1;
  std::uint32_t calls = 1;
  std::string workflow;  // programs that are alike have one; empty: calls do not know of each other

  // With one: already selected and scaled. Replayed, its times are stretched to the rate, and each seed begins at
  // another place of it, unless it has no more programs than are wanted, or `from_start`.
  std::shared_ptr<const workload> trace;
  bool replay = false;
  bool from_start = false;

  arrivals coming{};  // of replays only the rate
};

/// `requests`: of all that do not say how many, shared out by their rates; 0: of a replay all it has, of others 1,000.
workload make_workload(std::span<const workload_recipe> recipes, std::size_t requests, std::uint64_t seed);

}  // namespace troupe::simulator
