#include "policies/distserve_nodes.hpp"

#include <algorithm>
#include <utility>

namespace troupe::policies {
namespace {

/// What must share a node.
using group = std::vector<stage_location>;

std::vector<stage_location> stages_of(const placement_unit& unit) {
  std::vector<stage_location> stages;
  const auto add = [&](bool decodes, std::uint32_t instances, const parallelism& split) {
    for (std::uint32_t instance = 0; instance < instances; ++instance)
      for (std::uint32_t stage = 0; stage < split.pp; ++stage)
        stages.push_back({decodes, instance, stage, 0, split.tp});
  };
  add(false, unit.n_prefill, unit.prefill);
  add(true, unit.n_decode, unit.decode);
  return stages;
}

std::uint32_t gpus_of(const group& together) {
  std::uint32_t sum = 0;
  for (const auto& stage : together)
    sum += stage.gpus;
  return sum;
}

std::vector<group> groups_of(const placement_unit& unit) {
  const auto stages = stages_of(unit);
  std::vector<group> groups;
  switch (unit.spread) {
    case unit_spread::one_node:
      groups.push_back(stages);
      break;
    case unit_spread::stage_by_stage:
      groups.resize(unit.prefill.pp);
      for (const auto& stage : stages)
        groups[stage.stage].push_back(stage);
      break;
    case unit_spread::instance_by_instance:
      groups.resize(unit.n_prefill + unit.n_decode);
      for (const auto& stage : stages)
        groups[stage.instance + (stage.decodes ? unit.n_prefill : 0)].push_back(stage);
      break;
    case unit_spread::anywhere:
      for (const auto& stage : stages)
        groups.push_back({stage});
      break;
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const group& a, const group& b) { return gpus_of(a) > gpus_of(b); });
  return groups;
}

}  // namespace

std::optional<std::vector<stage_location>> node_pool::place(const placement_unit& unit) {
  auto before = free_;
  std::vector<stage_location> placed;
  for (const auto& together : groups_of(unit)) {
    const auto node = take(gpus_of(together));
    if (!node) {
      free_ = std::move(before);
      return std::nullopt;
    }
    for (auto stage : together) {
      stage.node = *node;
      placed.push_back(stage);
    }
  }
  return placed;
}

std::optional<std::uint32_t> node_pool::take(std::uint32_t gpus) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t node = 0; node < free_.size(); ++node)
    if (free_[node] >= gpus && (!best || free_[node] < free_[*best])) best = node;
  if (best) free_[*best] -= gpus;
  return best;
}

}  // namespace troupe::policies
