#include "policies/workload_drift.hpp"

#include "catch.hpp"

#include <vector>

using namespace troupe::policies;

TEST_CASE("drift names what has moved", "[workload_drift]") {
  const workload_statistics planned{1000, 4.0, 500, 50};
  CHECK_FALSE(replan_needed(planned, planned));
  CHECK_FALSE(replan_needed(planned, {1000, 5.0, 400, 60}));
  CHECK(replan_needed(planned, {1000, 5.3, 500, 50}).rate);
  CHECK(replan_needed(planned, {1000, 3.0, 500, 50}).rate);
  const auto longer = replan_needed(planned, {1000, 4.0, 700, 30});
  CHECK(longer.prompt_tokens);
  CHECK(longer.output_tokens);
  CHECK_FALSE(longer.rate);
  CHECK(replan_needed(planned, {1000, 0.0, 500, 50}).rate);
}

TEST_CASE("few requests are no reason to plan again", "[workload_drift]") {
  const workload_statistics planned{1000, 4.0, 500, 50};
  CHECK_FALSE(replan_needed(planned, {199, 40.0, 5000, 5}));
  CHECK(replan_needed(planned, {199, 40.0, 5000, 5}, {.min_requests = 100}));
}

TEST_CASE("statistics of a stretch of requests", "[workload_drift]") {
  const std::vector<request_lengths> lengths{{100, 10}, {300, 30}};
  const auto seen = statistics_of(lengths, 4.0);
  CHECK(seen.requests == 2);
  CHECK(seen.rate == 0.5);
  CHECK(seen.mean_prompt_tokens == 200);
  CHECK(seen.mean_output_tokens == 20);
  CHECK(statistics_of({}, 4.0).requests == 0);
  CHECK(statistics_of(lengths, 0.0).requests == 0);
}
