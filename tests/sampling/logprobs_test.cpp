#include "runtime/sampling/logprobs.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "plain_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace troupe;

TEST_CASE("logprobs equal a sorted log-softmax", "[sampling][logprobs]") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    random_stream random(seed);
    std::vector<float> logits(1 + random.below(200));
    const bool ties = random.below(2) == 0;
    for (float& x : logits) {
      x = static_cast<float>(random.unit() * 20 - 10);
      if (ties) x = std::round(x);
    }
    const auto n_top = static_cast<std::int32_t>(random.below(25));
    const auto chosen = static_cast<token_id>(random.below(logits.size()));
    CAPTURE(seed, logits.size(), n_top);

    double sum = 0;
    for (const float x : logits)
      sum += std::exp(double{x});
    std::vector<std::pair<float, token_id>> sorted;
    for (std::size_t i = 0; i < logits.size(); ++i)
      sorted.emplace_back(-logits[i], static_cast<token_id>(i));
    std::ranges::sort(sorted);

    const auto out = compute_logprobs(test::plain_table(), logits, chosen, n_top);
    CHECK(std::abs(out.chosen - (logits[static_cast<std::size_t>(chosen)] - std::log(sum))) < 1e-5);
    REQUIRE(out.top.size() == std::min(static_cast<std::size_t>(n_top), logits.size()));
    for (std::size_t i = 0; i < out.top.size(); ++i) {
      CHECK(out.top[i].token == sorted[i].second);
      CHECK(std::abs(out.top[i].logprob - (-sorted[i].first - std::log(sum))) < 1e-5);
    }
  }
}

TEST_CASE("logprobs are finite whatever the logits are", "[sampling][logprobs]") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& logits : {std::vector<float>{nan, 1.0f, -infinity, 2.0f},
                             {-infinity, -infinity, -infinity, -infinity},
                             {infinity, 0.0f, infinity, nan},
                             {nan, nan, nan, nan}}) {
    for (token_id chosen = 0; chosen < 4; ++chosen) {
      const auto out = compute_logprobs(test::plain_table(), logits, chosen, 9);
      CHECK(std::isfinite(out.chosen));
      REQUIRE(out.top.size() == 4);
      for (const auto& [token, logprob] : out.top) {
        CHECK(std::isfinite(logprob));
        CHECK(logprob <= 0.0f);
      }
    }
  }
  const auto out = compute_logprobs(test::plain_table(), std::vector<float>{-infinity, 5.0f}, 0, 2);
  CHECK(out.chosen == lowest_logprob);
  CHECK(out.top[0].token == 1);
  CHECK(out.top[0].logprob == 0.0f);
}
