#include "policies/distserve_nodes.hpp"

#include "catch.hpp"

#include <map>
#include <set>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

TEST_CASE("a stage's GPUs share a node, and no node holds more than it has", "[distserve_nodes]") {
  node_pool pool(3, 4);
  const placement_unit unit{.kind = unit_kind::prefill_first, .prefill = {3, 2}, .n_prefill = 1};
  const auto placed = pool.place(unit);
  REQUIRE(placed);
  REQUIRE(placed->size() == 2);
  CHECK((*placed)[0].node != (*placed)[1].node);
  CHECK_FALSE(pool.place(unit));  // one node has room for three, two have room for one
  CHECK(pool.place({.kind = unit_kind::prefill_first, .prefill = {3, 1}}));
  CHECK(pool.free_gpus() == std::vector<std::uint32_t>{1, 1, 1});
}

TEST_CASE("the fullest node with room is taken, and a failure takes nothing", "[distserve_nodes]") {
  node_pool pool(2, 8);
  REQUIRE(pool.place({.kind = unit_kind::prefill_first, .prefill = {2, 1}}));
  REQUIRE(pool.place({.kind = unit_kind::prefill_first, .prefill = {2, 1}}));
  CHECK(pool.free_gpus() == std::vector<std::uint32_t>{4, 8});
  const placement_unit too_large{.kind = unit_kind::disaggregated, .prefill = {8, 1}, .decode = {8, 1}, .n_decode = 1};
  CHECK_FALSE(pool.place(too_large));
  CHECK(pool.free_gpus() == std::vector<std::uint32_t>{4, 8});
}

TEST_CASE("stage by stage, both phases of the same layers share a node", "[distserve_nodes]") {
  node_pool pool(4, 8);
  const auto placed = pool.place({.kind = unit_kind::disaggregated,
                                  .prefill = {2, 4},
                                  .n_prefill = 2,
                                  .decode = {4, 4},
                                  .n_decode = 1,
                                  .spread = unit_spread::stage_by_stage});
  REQUIRE(placed);
  CHECK(placed->size() == 3 * 4);
  std::map<std::uint32_t, std::set<std::uint32_t>> nodes_of_stage;
  for (const auto& stage : *placed)
    nodes_of_stage[stage.stage].insert(stage.node);
  for (const auto& [stage, nodes] : nodes_of_stage)
    CHECK(nodes.size() == 1);
  CHECK(pool.free_gpus() == std::vector<std::uint32_t>(4, 0));
}

TEST_CASE("instance by instance, the stages of an instance share a node", "[distserve_nodes]") {
  node_pool pool(3, 4);
  const auto placed = pool.place({.kind = unit_kind::disaggregated,
                                  .prefill = {1, 3},
                                  .n_prefill = 2,
                                  .decode = {2, 2},
                                  .n_decode = 1,
                                  .spread = unit_spread::instance_by_instance});
  REQUIRE(placed);
  std::map<std::pair<bool, std::uint32_t>, std::set<std::uint32_t>> nodes_of_instance;
  for (const auto& stage : *placed)
    nodes_of_instance[{stage.decodes, stage.instance}].insert(stage.node);
  CHECK(nodes_of_instance.size() == 3);
  for (const auto& [instance, nodes] : nodes_of_instance)
    CHECK(nodes.size() == 1);
}

TEST_CASE("one node means one node", "[distserve_nodes]") {
  node_pool pool(2, 4);
  const placement_unit unit{.kind = unit_kind::disaggregated,
                            .prefill = {1, 2},
                            .decode = {1, 1},
                            .n_decode = 1,
                            .spread = unit_spread::one_node};
  for (int i = 0; i < 2; ++i) {
    const auto placed = pool.place(unit);
    REQUIRE(placed);
    for (const auto& stage : *placed)
      CHECK(stage.node == placed->front().node);
  }
  CHECK_FALSE(pool.place(unit));  // two GPUs are free, on different nodes
}
