#include "policies/step_cost_fit.hpp"

#include "approximately.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

step_sample prompt_of(std::uint64_t begin, std::uint64_t end) {
  step_sample made;
  made.shape.add_prompt(begin, end);
  return made;
}

step_sample decoding_of(std::uint32_t sequences, std::uint64_t context) {
  step_sample made;
  for (std::uint32_t i = 0; i < sequences; ++i)
    made.shape.add_decoding(context);
  return made;
}

/// Steps of both kinds and mixed ones, timed by `truth`, off by up to `noise` of it.
std::vector<step_sample> measure(const step_cost& truth, double noise) {
  std::vector<step_sample> samples;
  for (const std::uint64_t tokens : {10, 50, 100, 300, 800, 2000})
    samples.push_back(prompt_of(0, tokens));
  samples.push_back(prompt_of(500, 600));
  for (const std::uint32_t batch : {1u, 2u, 4u, 8u, 16u, 40u})
    for (const std::uint64_t context : {20, 200, 900})
      samples.push_back(decoding_of(batch, context));
  samples.push_back(decoding_of(3, 100));
  samples.back().shape.add_prompt(0, 64);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i].time_ms = truth.time_ms(samples[i].shape) * (1.0 + noise * (2.0 * random_unit(9, i) - 1.0));
  return samples;
}

const step_cost truth{.prompt = {4, 2.5, 1e-4}, .decoding = {10, 0.002, 3}};

}  // namespace

TEST_CASE("exact measurements give the coefficients back", "[step_cost_fit]") {
  const auto fit = fit_step_cost(measure(truth, 0.0));
  REQUIRE(fit);
  CHECK(fit->cost.prompt.base_ms == approximately(4).epsilon(1e-6));
  CHECK(fit->cost.prompt.per_token_ms == approximately(2.5).epsilon(1e-6));
  CHECK(fit->cost.prompt.per_token_squared_ms == approximately(1e-4).epsilon(1e-6));
  CHECK(fit->cost.decoding.base_ms == approximately(10).epsilon(1e-6));
  CHECK(fit->cost.decoding.per_context_ms == approximately(0.002).epsilon(1e-6));
  CHECK(fit->cost.decoding.per_sequence_ms == approximately(3).epsilon(1e-6));
  CHECK(fit->p90_error < 1e-6);
}

TEST_CASE("noise of 10 % leaves a median error below it", "[step_cost_fit]") {
  const auto fit = fit_step_cost(measure(truth, 0.1));
  REQUIRE(fit);
  CHECK(fit->median_error < 0.1);
  CHECK(fit->p90_error < 0.2);
  CHECK(fit->cost.prompt.per_token_ms == approximately(2.5).epsilon(0.2));
}

TEST_CASE("large batches get coefficients of their own", "[step_cost_fit]") {
  auto with_large = truth;
  with_large.large = {30, 0.001, 2};
  with_large.large_batch = 8;
  const auto fit = fit_step_cost(measure(with_large, 0.0), 8);
  REQUIRE(fit);
  CHECK(fit->cost.large.base_ms == approximately(30).epsilon(1e-6));
  CHECK(fit->cost.large.per_sequence_ms == approximately(2).epsilon(1e-6));
  CHECK(fit->cost.decoding.base_ms == approximately(10).epsilon(1e-6));
}

TEST_CASE("no coefficient is negative", "[step_cost_fit]") {
  auto samples = measure(truth, 0.0);
  for (auto& sample : samples)  // cheaper and cheaper a token
    if (sample.shape.decoding == 0)
      sample.time_ms = 5.0 + 2.0 * static_cast<double>(sample.shape.prompt_tokens) -
                       5e-4 * static_cast<double>(sample.shape.prompt_tokens_squared);
  const auto fit = fit_step_cost(samples);
  REQUIRE(fit);
  CHECK(fit->cost.prompt.per_token_squared_ms == 0.0);
  CHECK(fit->cost.prompt.base_ms >= 0.0);
  CHECK(fit->cost.prompt.per_token_ms > 0.0);
}

TEST_CASE("what is missing is named", "[step_cost_fit]") {
  const auto all = measure(truth, 0.0);
  const auto param_of = [](std::vector<step_sample> samples, std::uint32_t large = 0) {
    const auto fit = fit_step_cost(samples, large);
    return fit ? std::string("none") : fit.error().param;
  };
  const auto only = [&](auto keep) {
    auto kept = all;
    std::erase_if(kept, [&](const step_sample& sample) { return !keep(sample); });
    return kept;
  };
  CHECK(param_of({}) == "samples.prompt");
  CHECK(param_of(only([](const auto& s) { return s.shape.prompt_tokens == 0; })) == "samples.prompt");
  CHECK(param_of(only([](const auto& s) { return s.shape.decoding == 0; })) == "samples.decoding");
  CHECK(param_of(all, 100) == "samples.large");

  auto one_length = all;
  for (auto& sample : one_length)
    if (sample.shape.decoding == 0) sample.shape = prompt_of(0, 100).shape;
  CHECK(param_of(one_length) == "samples.prompt");
  auto one_context = all;  // context and sequences go together
  for (auto& sample : one_context)
    if (sample.shape.prompt_tokens == 0) sample.shape.context = 100 * sample.shape.decoding;
  CHECK(param_of(one_context) == "samples.decoding");
  auto timeless = all;
  timeless[3].time_ms = 0.0;
  CHECK(param_of(timeless) == "samples.time_ms");
}
