#include "policies/goodput.hpp"

#include "approximately.hpp"
#include "catch.hpp"

#include <cmath>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

TEST_CASE("joint attainment counts those within both targets", "[goodput]") {
  const std::vector<request_timing> timings{{1, 0.1}, {3, 0.1}, {1, 0.3}, {1, 0.0}, {0, 0, true}};
  const auto seen = summarise(timings, {2, 0.2});
  CHECK(seen.joint == approximately(0.4));  // the first, and the fourth, whose TPOT is that of a single token
  CHECK(seen.ttft_share == approximately(0.6));
  CHECK(seen.tpot_share == approximately(0.6));
  CHECK(summarise({}, {2, 0.2}).joint == 0.0);
}

TEST_CASE("Poisson requests only come closer together at a higher rate", "[goodput]") {
  const std::vector<request_lengths> lengths{{10, 1}, {20, 2}, {30, 3}};
  const auto slow = sample_requests(lengths, 1.0, 20'000, 4), fast = sample_requests(lengths, 8.0, 20'000, 4);
  CHECK(slow.back().arrival_s == approximately(20'000).epsilon(0.03));
  double prompt_tokens = 0;
  for (std::size_t i = 0; i < slow.size(); ++i) {
    REQUIRE(fast[i].arrival_s == approximately(slow[i].arrival_s / 8));
    REQUIRE(fast[i].prompt_tokens == slow[i].prompt_tokens);
    prompt_tokens += slow[i].prompt_tokens;
  }
  CHECK(prompt_tokens / 20'000 == approximately(20).epsilon(0.02));
}

TEST_CASE("the goodput of M/D/1", "[goodput]") {
  // P(wait > t) ~ exp(-2 (1 - load) / load * t / D) in heavy traffic; 10 % wait longer than 4 D at a load of ~0.8.
  const std::vector<request_lengths> lengths{{100, 1}};
  const simulated_unit unit{.kind = unit_kind::prefill_only,
                            .prefill = {.cost = {.prompt = {0, 1, 0}}, .max_batched_tokens = 1}};
  const auto found = find_goodput(unit, lengths, {0.5, 1.0}, {.requests_per_instance = 20'000});
  CHECK(found.rate > 7.2);
  CHECK(found.rate < 8.4);
  CHECK(found.at_rate.joint >= 0.9);
  CHECK(found.at_rate.ttft_p90_s <= 0.5);
  // Wherever the search begins, it ends within its width.
  for (const double first : {0.01, 100.0}) {
    const auto other = find_goodput(unit, lengths, {0.5, 1.0}, {.requests_per_instance = 20'000, .first_rate = first});
    CHECK(other.rate == approximately(found.rate).epsilon(0.04));
  }
  CHECK(find_goodput(unit, lengths, {0.05, 1.0}, {}).rate == 0.0);
}
