// Guessed tokens: where they come from, and that trying them changes nothing but the number of steps.
#include "runtime/engine/prompt_lookup.hpp"

#include "engine_harness.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

std::vector<token_id> guess_after(const std::vector<token_id>& tokens, std::size_t most) {
  prompt_lookup lookup;
  lookup.reserve(tokens.size());
  lookup.update(tokens);
  const auto guessed = lookup.guess(tokens, most);
  return {guessed.begin(), guessed.end()};
}

/// A prompt that repeats itself, so that there is something to find.
generation_request repeating_request(std::uint64_t seed, std::size_t n_prompt, std::uint32_t max_tokens) {
  auto request = random_request(seed, n_prompt, max_tokens);
  for (std::size_t i = 12; i < request.prompt.size(); ++i)
    request.prompt[i] = request.prompt[i - 12];
  return request;
}

std::vector<generation_request> requests_of_all_kinds() {
  std::vector<generation_request> all;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    auto request = repeating_request(seed, 20 + 7 * seed, 60);
    auto& sampling = request.sampling;
    if (seed % 3 == 1) sampling.temperature = 0.3f;
    if (seed % 3 == 2) sampling.logprobs = 3;
    if (seed == 3) sampling.prompt_logprobs = 2;
    if (seed == 4) sampling.min_tokens = 30;
    if (seed == 6) sampling.frequency_penalty = 0.5f;
    if (seed >= 7) sampling.ignore_eos = false;
    if (seed == 9) sampling.stop = {"e", "th"};
    if (seed == 10) sampling.max_tokens = 2;
    all.push_back(std::move(request));
  }
  return all;
}

}  // namespace

TEST_CASE("a guess is what followed the same last tokens before", "[prompt_lookup]") {
  CHECK(guess_after({1, 2, 3, 4, 5, 1, 2, 3}, 8) == std::vector<token_id>{4, 5, 1, 2, 3});
  CHECK(guess_after({1, 2, 3, 4, 5, 1, 2, 3}, 2) == std::vector<token_id>{4, 5});
  CHECK(guess_after({9, 2, 3, 4, 5, 1, 2, 3}, 1) == std::vector<token_id>{4});           // two tokens alike are enough
  CHECK(guess_after({1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3}, 1) == std::vector<token_id>{4});  // three go before two
  CHECK(guess_after({1, 2, 7, 1, 2, 8, 1, 2}, 1) == std::vector<token_id>{8});           // the latest goes first
  CHECK(guess_after({5, 5, 5}, 4) == std::vector<token_id>{5});
  CHECK(guess_after({1, 2, 3, 4}, 4).empty());
  CHECK(guess_after({1}, 4).empty());
  CHECK(guess_after({}, 4).empty());
}

TEST_CASE("a sequence that grows token by token is guessed like one seen at once", "[prompt_lookup]") {
  random_stream random(3);
  std::vector<token_id> tokens;
  prompt_lookup grown;
  grown.reserve(600);
  for (int i = 0; i < 600; ++i) {
    tokens.push_back(static_cast<token_id>(random.below(6)));
    grown.update(tokens);
    prompt_lookup fresh;
    fresh.reserve(600);
    fresh.update(tokens);
    const auto one = grown.guess(tokens, 5);
    const auto other = fresh.guess(tokens, 5);
    REQUIRE(std::equal(one.begin(), one.end(), other.begin(), other.end()));
    if (!one.empty()) {
      const auto at = static_cast<std::size_t>(one.data() - tokens.data());
      REQUIRE((tokens[at - 1] == tokens.back() && tokens[at - 2] == tokens[tokens.size() - 2]));
    }
  }
}

TEST_CASE("guessing changes no token, text or logprob, only the number of steps", "[prompt_lookup][rule5]") {
  cpu_engine_options plain;
  plain.max_guesses = 0;
  tiny_engine alone(plain);
  std::vector<stream> expected;
  for (const auto& request : requests_of_all_kinds())
    expected.push_back(alone.run_alone(request));
  CHECK(alone->status().guesses_tried == 0);

  for (const std::uint32_t max_guesses : {1u, 3u, 8u}) {
    for (const std::uint32_t chunk : {2u, 5u, 512u}) {
      CAPTURE(max_guesses, chunk);
      cpu_engine_options options;
      options.max_guesses = max_guesses;
      tiny_engine engine(options);
      std::vector<sequence_id> ids;
      for (const auto& request : requests_of_all_kinds())
        ids.push_back(engine.add(request));
      engine.run(chunk);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        CAPTURE(i);
        REQUIRE(same(engine.of(ids[i]), expected[i]));
      }
      const auto status = engine->status();
      CHECK(status.guesses_right > 0);
      CHECK(status.guesses_right < status.guesses_tried);
      CHECK(status.blocks_free == status.blocks_total);
      REQUIRE(engine->audit());
    }
  }
}

TEST_CASE("guesses survive preemption and a pool with no room to spare", "[prompt_lookup]") {
  cpu_engine_options plain;
  plain.max_guesses = 0;
  tiny_engine alone(plain);
  cpu_engine_options tight;
  tight.max_context = 128;
  tight.max_sequences = 2;
  tiny_engine engine(tight);
  const auto first = repeating_request(21, 60, 60);
  const auto second = repeating_request(22, 60, 60);
  const auto a = engine.add(first);
  const auto b = engine.add(second);
  for (int i = 0; !engine->sequences().empty(); ++i) {
    REQUIRE(i < 500);
    step_plan plan;
    for (const auto& s : engine->sequences()) {
      if (i % 9 == 5 && s.id == b) {
        plan.preempt.push_back(b);
      } else {
        plan.grants.push_back({s.id, 20});
      }
    }
    engine.step(plan);
    REQUIRE(engine->audit());
  }
  CHECK(engine.of(a).ids() == alone.run_alone(first).ids());
  CHECK(engine.of(b).ids() == alone.run_alone(second).ids());
}
