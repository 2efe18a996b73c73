// The units a placement can be made of, and what each is worth. A unit is the smallest set of instances that serves
// requests by itself; a cluster holds many of them (distserve_placement.hpp).
//
// Disaggregated units (DistServe, OSDI 2024, section 4): where K and V cross between nodes quickly enough, each phase
// is split as suits it alone, and the number of instances of each matches their rates (algorithm 1). Where they do not,
// both phases have the same pipeline stages, and the instances' parts of one stage share a node, so that K and V stay
// in it (algorithm 2). Co-located units, with prompts first or in chunks, compete with them. Pure.
#pragma once

#include "policies/distserve_problem.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::policies {

/// What must share a node, beside the GPUs of one stage.
enum class unit_spread : std::uint8_t {
  anywhere,              // nothing; all that travels goes between nodes
  instance_by_instance,  // the stages of an instance; K and V may go between nodes
  stage_by_stage,        // the stages of the same layers, of both phases: K and V stay in the node
  one_node               // all of the unit
};

struct placement_unit {
  unit_kind kind = unit_kind::prefill_first;
  parallelism prefill{};  // both phases, when co-located
  std::uint32_t n_prefill = 1;
  parallelism decode{};
  std::uint32_t n_decode = 0;
  std::uint32_t chunk_tokens = 0;  // chunked_prefill only
  unit_spread spread = unit_spread::anywhere;

  std::uint32_t gpus() const { return n_prefill * prefill.gpus() + n_decode * decode.gpus(); }
  friend bool operator==(const placement_unit&, const placement_unit&) = default;
};

/// For people: "2 x prefill tp 4 pp 1 + 3 x decode tp 2 pp 1, one node".
std::string to_string(const placement_unit& unit);

struct scored_unit {
  placement_unit unit{};
  double goodput = 0;  // requests a second
  double goodput_per_gpu = 0;
  latency_summary at_goodput{};
};

/// What the simulation is given for a unit.
simulated_unit simulated(const placement_problem& problem, const placement_unit& unit);

/// By simulation; `first_rate` is where the search begins, any positive number. Goodput 0 for a unit that does not
/// reach `least_rate`.
scored_unit score(const placement_problem& problem, const placement_unit& unit, double first_rate,
                  double least_rate = 0);

/// The units worth considering, with a goodput above zero, highest goodput a GPU first. Each phase is scored alone,
/// pairs are ranked by the slower phase's rate, and the best of each size are simulated whole.
std::vector<scored_unit> candidate_units(const placement_problem& problem);

/// Every unit that fits a cluster of at most `max_gpus` GPUs. For tests: thorough, and slow.
std::vector<scored_unit> every_unit(const placement_problem& problem, std::uint32_t max_gpus);

}  // namespace troupe::policies
