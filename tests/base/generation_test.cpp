#include "base/generation.hpp"

#include "catch.hpp"

#include <cmath>
#include <functional>
#include <limits>

using namespace troupe;

TEST_CASE("sampling out of range names its field", "[generation]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::pair<const char*, std::function<void(sampling_params&)>> wrong[] = {
      {"temperature", [&](auto& p) { p.temperature = -0.1f; }},
      {"temperature", [&](auto& p) { p.temperature = nan; }},
      {"top_p", [&](auto& p) { p.top_p = 0.0f; }},
      {"top_p", [&](auto& p) { p.top_p = nan; }},
      {"min_p", [&](auto& p) { p.min_p = 1.5f; }},
      {"presence_penalty", [&](auto& p) { p.presence_penalty = 3.0f; }},
      {"frequency_penalty", [&](auto& p) { p.frequency_penalty = -3.0f; }},
      {"repetition_penalty", [&](auto& p) { p.repetition_penalty = 0.0f; }},
      {"min_tokens", [&](auto& p) { p.min_tokens = 17; }},
      {"logit_bias",
       [&](auto& p) {
         p.logit_bias = {{1, 101.0f}};
       }},
      {"stop", [&](auto& p) { p.stop = {""}; }},
  };
  CHECK(validate(sampling_params{}));
  for (const auto& [param, spoil] : wrong) {
    sampling_params params;
    spoil(params);
    const auto outcome = validate(params);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().param == param);
    CHECK(outcome.error().code == errc::invalid_argument);
  }
}
