#include "simulator/workload_recipe.hpp"

#include "simulator/trace_selection.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::size_t requests_by_default = 1000;

workload make_programs(const workload_recipe& of, std::size_t n, std::uint64_t seed) {
  random_stream times(random_bits(seed, 1)), ins(random_bits(seed, 2)), outs(random_bits(seed, 3));
  const auto at = draw_arrivals(of.coming, n, times);
  const std::size_t calls_each = std::size_t{of.stages} * of.calls;
  const auto in = draw_lengths(of.prompts, n * calls_each, ins);
  const auto out = draw_lengths(of.answers, n * calls_each, outs);
  workload made;
  std::size_t next = 0;
  for (const double when : at) {
    auto& program = made.emplace_back();
    program.arrival = std::chrono::duration_cast<duration>(std::chrono::duration<double>(when));
    program.kind = "program";
    program.workflow = of.workflow;
    for (std::uint32_t stage = 0; stage < of.stages; ++stage) {
      auto& calls = program.stages.emplace_back();
      for (std::uint32_t call = 0; call < of.calls; ++call, ++next)
        calls.push_back({"stage " + std::to_string(stage + 1), in[next], out[next], {}});
    }
  }
  return made;
}

workload replay(const workload_recipe& of, std::size_t n, std::uint64_t seed) {
  const auto& trace = *of.trace;
  trace_selection wanted{.limit = std::min(n, trace.size())};
  if (!of.from_start && n < trace.size()) wanted.skip = random_bits(seed, 4) % (trace.size() - n + 1);
  // The rate is that of the whole trace: where it has a burst, so has the replay.
  if (const double own = mean_rate(trace); own > 0) wanted.speed_up = of.coming.rate / own;
  return std::move(*select(trace, wanted));
}

workload make_one(const workload_recipe& of, std::size_t n, std::uint64_t seed) {
  workload made = of.trace ? of.replay ? replay(of, n, seed) : repeat_programs(of.coming, *of.trace, n, seed)
                  : of.stages * of.calls > 1 ? make_programs(of, n, seed)
                                             : make_requests(of.coming, of.prompts, of.answers, n, seed);
  for (auto& program : made) {
    if (!of.kind.empty()) program.kind = of.kind;
    if (!of.workflow.empty()) program.workflow = of.workflow;
    program.tenant = of.tenant;
    program.objective = of.objective;
  }
  return made;
}

}  // namespace

workload make_workload(std::span<const workload_recipe> recipes, std::size_t requests, std::uint64_t seed) {
  double all_rates = 0;
  for (const auto& of : recipes)
    if (of.requests == 0) all_rates += of.coming.rate;
  if (requests == 0) {
    const bool is_replay = recipes.size() == 1 && recipes.front().replay;
    requests = is_replay ? recipes.front().trace->size() : requests_by_default;
  }
  workload made;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    const auto& of = recipes[i];
    const double share = static_cast<double>(requests) * of.coming.rate / std::max(all_rates, 1e-9);
    const auto n = of.requests > 0 ? of.requests : static_cast<std::size_t>(std::max(std::round(share), 1.0));
    made = merge(std::move(made), make_one(of, n, random_bits(seed, 1000 + i)));
  }
  return made;
}

}  // namespace troupe::simulator
