// The acceptance of JITServe on an engine of a few lines; the simulator has the same with the real worker. Seeded, so
// the numbers are the same everywhere; the margins are for whoever changes a constant.
#include "catch.hpp"
#include "policies/jitserve_goodput.hpp"
#include "toy_engine.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>

using namespace troupe;
using namespace troupe::policies;
using namespace std::chrono_literals;

namespace {

toy::outcome mean_of(const batching_policy& policy, toy::world world) {
  constexpr int seeds = 4;
  toy::outcome mean;
  for (world.seed = 1; world.seed <= seeds; ++world.seed) {
    const auto one = toy::simulate(policy, world);
    mean.goodput += one.goodput / seeds;
    mean.longest_wait = std::max(mean.longest_wait, one.longest_wait);
  }
  UNSCOPED_INFO(policy.name() << ": " << mean.goodput);
  return mean;
}

toy::outcome mean_of(std::string_view name, const toy::world& world) {
  return mean_of(**make_batching_policy(name), world);
}

}  // namespace

TEST_CASE("past saturation jitserve delivers most inside the deadlines", "[local_order][jitserve]") {
  toy::world world{.requests = 300, .predictor_error = 0.5};
  const double fcfs = mean_of("fcfs", world).goodput;
  const double sjf = mean_of("sjf", world).goodput;
  const double las = mean_of("las", world).goodput;
  const double edf = mean_of("edf", world).goodput;
  const double jitserve = mean_of("jitserve", world).goodput;
  CHECK(jitserve >= 1.5 * fcfs);
  CHECK(jitserve >= 1.05 * sjf);
  CHECK(jitserve >= 1.2 * las);
  CHECK(jitserve >= 1.5 * edf);
  world.predictor_error = 0;
  const double oracle = mean_of("jitserve", world).goodput;
  CHECK(oracle >= 1.08 * mean_of("sjf", world).goodput);
  CHECK(jitserve >= 0.85 * oracle);
}

TEST_CASE("what JITServe adds to an order by priority does no harm", "[local_order][jitserve]") {
  const toy::world world{.requests = 300};
  const auto goodput = [&](const jitserve_settings& settings, toy::world of) {
    return mean_of(jitserve_batching(settings), of).goodput;
  };
  const double full = goodput({}, world);
  CHECK(full >= 0.98 * goodput({.length_grouping = false}, world));
  CHECK(full >= 0.98 * goodput({.stickiness = false}, world));
  CHECK(full >= 1.01 * goodput({.just_in_time = 0}, world));
  CHECK(full >= 1.01 * goodput({.part_slack = 0}, world));
  auto without = world;
  without.sub_deadlines = false;
  CHECK(full >= 0.98 * goodput({}, without));
}

TEST_CASE("below saturation jitserve loses nothing", "[local_order][jitserve]") {
  const toy::world world{.requests = 200, .load = 0.7};
  CHECK(mean_of("jitserve", world).goodput >= 0.98 * mean_of("fcfs", world).goodput);
}

TEST_CASE("no call waits longer than the bound, far past saturation and out of blocks", "[local_order][jitserve]") {
  // 16 frames of 50 steps of 50 ms, and a step for each of the calls that starve at once: fewer than 150.
  for (const bool objectives : {true, false})
    CHECK(mean_of("jitserve", {.requests = 150, .load = 2, .blocks = 700, .objectives = objectives}).longest_wait <=
          40s + 150 * 50ms);
}
