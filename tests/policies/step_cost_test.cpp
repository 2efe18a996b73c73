#include "policies/step_cost.hpp"

#include "approximately.hpp"
#include "catch.hpp"
#include "policies/gpu_profile.hpp"

using namespace troupe;
using namespace troupe::policies;

TEST_CASE("chunks of a prompt add up to the whole", "[step_cost]") {
  step_shape whole, chunks;
  whole.add_prompt(0, 1000);
  for (std::uint64_t begin = 0; begin < 1000; begin += 125)
    chunks.add_prompt(begin, begin + 125);
  CHECK(chunks.prompt_tokens == whole.prompt_tokens);
  CHECK(chunks.prompt_tokens_squared == whole.prompt_tokens_squared);
}

TEST_CASE("a step costs its base once and the rest of all it does", "[step_cost]") {
  const step_cost cost{.prompt = {5, 2, 0.01}, .decoding = {10, 0.1, 3}, .large = {20, 0.2, 1}, .large_batch = 4};
  step_shape prompt;
  prompt.add_prompt(0, 10);
  step_shape decoding;
  for (int i = 0; i < 3; ++i)
    decoding.add_decoding(50);
  step_shape both = decoding;
  both.add_prompt(0, 10);
  step_shape large = decoding;
  large.add_decoding(50);

  CHECK(cost.time_ms({}) == 0.0);
  CHECK(cost.time_ms(prompt) == approximately(5 + 20 + 1));
  CHECK(cost.time_ms(decoding) == approximately(10 + 15 + 9));
  CHECK(cost.time_ms(both) == approximately(10 + 15 + 9 + 20 + 1));
  CHECK(cost.time_ms(large) == approximately(20 + 40 + 4));
  CHECK(cost.time(decoding) == std::chrono::milliseconds(34));
}

TEST_CASE("DistServe's constants for 13 billion parameters on an A100", "[step_cost]") {
  step_shape prompt;
  prompt.add_prompt(0, 512);
  CHECK(distserve_13b_a100().time_ms(prompt) == approximately(18.10 + 0.1019 * 512 + 7.12e-6 * 512 * 512));
  step_shape decoding;
  for (int i = 0; i < 94; ++i)
    decoding.add_decoding(500);
  CHECK(distserve_13b_a100().time_ms(decoding) == approximately(19.93 + 6.27e-4 * 94 * 500 + 0.0385 * 94));
  decoding.add_decoding(500);
  CHECK(distserve_13b_a100().time_ms(decoding) == approximately(7.17 + 5.80e-4 * 95 * 500 + 0.158 * 95));
  CHECK(distserve_13b_a100_colocated().time_ms(prompt) > distserve_13b_a100().time_ms(prompt));
}
