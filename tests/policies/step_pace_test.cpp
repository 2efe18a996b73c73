#include "policies/step_pace.hpp"

#include "approximately.hpp"
#include "catch.hpp"

#include <chrono>

using namespace troupe;
using namespace troupe::policies;
using namespace std::chrono_literals;

namespace {

constexpr step_shape decoding{.prompt_tokens = 0, .prompt_tokens_squared = 0, .context = 100, .decoding = 4};
constexpr step_shape prompt{.prompt_tokens = 100, .prompt_tokens_squared = 10'000, .context = 0, .decoding = 0};
constexpr step_shape both{.prompt_tokens = 100, .prompt_tokens_squared = 10'000, .context = 100, .decoding = 4};

double ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

TEST_CASE("before the first step there is a guess, and zero for who asks whether it is known", "[step_pace]") {
  const step_pace pace;
  CHECK(pace.step_time() > 0ms);
  CHECK(pace.token_time() > 0ms);
  CHECK(pace.step_us() == 0);
  CHECK(pace.token_ns() == 0);
}

TEST_CASE("the first step counts in full, later ones a tenth", "[step_pace]") {
  step_pace pace;
  pace.observe(decoding, 10ms);
  CHECK(ms(pace.step_time()) == approximately(10));
  pace.observe(decoding, 20ms);
  CHECK(ms(pace.step_time()) == approximately(11));
  CHECK(pace.step_us() == 11'000);
  CHECK(pace.token_ns() == 0);
  for (int i = 0; i < 100; ++i)
    pace.observe(decoding, 40ms);
  CHECK(ms(pace.step_time()) == approximately(40).epsilon(0.01));
}

TEST_CASE("a prompt token is what a step takes beyond its decoding", "[step_pace]") {
  step_pace pace;
  pace.observe(prompt, 50ms);
  CHECK(pace.token_ns() == 500'000);
  CHECK(pace.step_us() == 0);
  step_pace mixed;
  mixed.observe(decoding, 10ms);
  mixed.observe(both, 60ms);
  CHECK(mixed.token_ns() == 500'000);
  CHECK(mixed.step_us() == 10'000);
  // Quicker than decoding alone: its tokens cost nothing, and nothing is negative.
  for (int i = 0; i < 200; ++i)
    mixed.observe(both, 5ms);
  CHECK(mixed.token_time() >= 0ms);
  CHECK(mixed.token_ns() < 1000);
}

TEST_CASE("empty steps, clocks that jump and steps of hours leave a pace that can be used", "[step_pace]") {
  step_pace pace;
  pace.observe({}, 50ms);
  CHECK(pace.step_us() == 0);
  pace.observe(decoding, -5ms);
  pace.observe(prompt, -5ms);
  CHECK(pace.step_us() == 0);
  CHECK(pace.token_ns() == 0);
  CHECK(pace.step_time() > 0ms);
  pace.observe(decoding, 10ms);
  CHECK(pace.step_us() == 10'000);
  step_pace slow;
  slow.observe(decoding, 2h);
  slow.observe({.prompt_tokens = 1, .prompt_tokens_squared = 1, .context = 0, .decoding = 0}, 2h);
  CHECK(slow.step_us() == ~0u);  // as slow as can be said
  CHECK(slow.token_ns() == ~0u);
}
