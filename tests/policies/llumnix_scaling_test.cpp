#include "catch.hpp"
#include "policies/llumnix_rescheduling.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

/// 100 blocks, of which 10 are in use for each running request.
dispatch_worker worker(std::uint32_t id, std::uint32_t running) {
  dispatch_worker made;
  made.id = worker_id{id};
  made.requests = made.sequences_running = running;
  made.max_requests = 64;
  made.blocks_total = 100;
  made.blocks_used = 10 * running;
  return made;
}

constexpr scaling_settings band{.min_workers = 1, .max_workers = 3, .scale_up_below = 10, .scale_down_above = 60};

}  // namespace

TEST_CASE("workers are added below the band and taken away above it", "[llumnix_scaling]") {
  CHECK(plan_scaling(std::vector{worker(1, 8)}, 0, band, 0).step == scaling_step::up);
  CHECK(plan_scaling(std::vector{worker(1, 3)}, 0, band, 0).step == scaling_step::stay);
  const std::vector idle{worker(1, 1), worker(2, 0)};
  const auto down = plan_scaling(idle, 0, band, 0);
  CHECK(down.step == scaling_step::down);
  CHECK(down.drain == worker_id{2});
}

TEST_CASE("workers that are on their way count, and the bounds hold", "[llumnix_scaling]") {
  CHECK(plan_scaling(std::vector{worker(1, 8)}, 1, band, 0).step == scaling_step::stay);
  CHECK(plan_scaling(std::vector{worker(1, 8), worker(2, 8), worker(3, 8)}, 0, band, 0).step == scaling_step::stay);
  CHECK(plan_scaling(std::vector{worker(1, 0)}, 0, band, 0).step == scaling_step::stay);
  CHECK(plan_scaling({}, 0, band, 0).step == scaling_step::up);
  CHECK(plan_scaling({}, 1, band, 0).step == scaling_step::stay);
}

TEST_CASE("a pinned worker is never drained, but its freeness counts", "[llumnix_scaling]") {
  std::vector idle{worker(1, 1), worker(2, 0)};
  idle[1].pinned = true;
  const auto down = plan_scaling(idle, 0, band, 0);
  CHECK(down.step == scaling_step::down);
  CHECK(down.drain == worker_id{1});
  idle[0].pinned = true;
  CHECK(plan_scaling(idle, 0, band, 0).step == scaling_step::stay);
  idle[0].draining = true;
  CHECK(plan_scaling(idle, 0, band, 0).step == scaling_step::stay);
}
