// Rule 5: the same question gives the same answer, to the bit of every logprob, however it was computed.
#include "engine_harness.hpp"

#include <cmath>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Prompts that share beginnings, so that prefix hits happen; greedy and sampled, with and without penalties.
std::vector<generation_request> mixed_requests() {
  const auto shared = random_request(99, 50, 0).prompt;
  std::vector<generation_request> requests;
  for (std::uint64_t i = 0; i < 8; ++i) {
    auto request = random_request(i, 1 + 9 * i, 24);
    if (i % 2) request.prompt.insert(request.prompt.begin(), shared.begin(), shared.end());
    request.sampling.temperature = i % 3 ? 0.9f : 0.0f;
    request.sampling.top_p = i == 5 ? 0.8f : 1.0f;
    request.sampling.frequency_penalty = i == 4 ? 0.7f : 0.0f;
    request.sampling.repetition_penalty = i == 7 ? 1.3f : 1.0f;
    request.sampling.logprobs = 3;
    if (i == 2 || i == 3) request.sampling.prompt_logprobs = 2;
    requests.push_back(request);
  }
  return requests;
}

cpu_engine_options options_for(const kernels::table& table, std::uint32_t n_threads, bool prefix_caching) {
  cpu_engine_options options;
  options.isa = table.isa;
  options.n_threads = n_threads;
  options.prefix_caching = prefix_caching;
  return options;
}

const tiny_model_options model{.weights = kernels::weight_type::q4_1, .embeddings = kernels::weight_type::q8_0};

std::vector<stream> alone(const kernels::table& table) {
  tiny_engine engine(options_for(table, 1, false), model);
  std::vector<stream> streams;
  for (const auto& request : mixed_requests())
    streams.push_back(engine.run_alone(request));
  return streams;
}

}  // namespace

TEST_CASE("rule 5: alone, in a batch, chunked, from the prefix cache", "[engine][rule5]") {
  for (const kernels::table* table : kernels::available()) {
    const auto expected = alone(*table);
    for (const std::uint32_t chunk : {1u, 3u, 16u, 64u})
      for (const bool prefix_caching : {false, true}) {
        CAPTURE(table->isa, chunk, prefix_caching);
        tiny_engine engine(options_for(*table, 2, prefix_caching), model);
        for (int round = 0; round < 2; ++round) {  // the second finds the first one's blocks
          std::vector<sequence_id> ids;
          for (const auto& request : mixed_requests())
            ids.push_back(engine.add(request));
          engine.run(chunk);
          for (std::size_t i = 0; i < ids.size(); ++i) {
            CAPTURE(round, i);
            CHECK(same(engine.of(ids[i]), expected[i]));
          }
          if (round == 1 && prefix_caching) CHECK(engine.of(ids[7]).usage.cached_tokens == 112);
          if (!prefix_caching) CHECK(engine.of(ids[7]).usage.cached_tokens == 0);
        }
        CHECK(engine->audit());
      }
  }
}

TEST_CASE("rule 5: preempted again and again", "[engine][rule5]") {
  const auto expected = alone(kernels::best());
  for (const bool prefix_caching : {false, true}) {
    tiny_engine engine(options_for(kernels::best(), 2, prefix_caching), model);
    std::vector<sequence_id> ids;
    for (const auto& request : mixed_requests())
      ids.push_back(engine.add(request));
    random_stream random(1);
    while (!engine->sequences().empty()) {
      step_plan plan;
      for (const auto& s : engine->sequences()) {
        if (random.below(20) == 0)
          plan.preempt.push_back(s.id);
        else if (random.below(4) != 0)
          plan.grants.push_back({s.id, static_cast<std::uint32_t>(1 + random.below(70))});
      }
      engine.step(plan);
      REQUIRE(engine->audit());
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      CAPTURE(prefix_caching, i);
      CHECK(same(engine.of(ids[i]), expected[i]));
    }
  }
}

TEST_CASE("rule 5: resumed elsewhere at any token", "[engine][rule5]") {
  const auto expected = alone(kernels::best());
  tiny_engine engine(options_for(kernels::best(), 2, true), model);
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (const std::size_t n_before : {1u, 7u, 23u}) {
      CAPTURE(i, n_before);
      auto request = mixed_requests()[i];
      const auto ids = expected[i].ids();
      request.resumed.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n_before));
      const stream rest = engine.run_alone(request, 5);
      CHECK(rest.prompt_logprobs.empty());  // delivered before the first token
      CHECK(rest.reason == expected[i].reason);
      CHECK(rest.usage.completion_tokens == 24);
      REQUIRE(rest.tokens.size() == 24 - n_before);
      for (std::size_t t = 0; t < rest.tokens.size(); ++t)
        CHECK(same(rest.tokens[t], expected[i].tokens[n_before + t]));
    }
}

TEST_CASE("logprobs are the log-softmax of the model's own logits", "[engine]") {
  tiny_engine engine(options_for(kernels::best(), 2, true), model);
  auto request = random_request(4, 70, 5);
  request.sampling.logprobs = 0;
  request.sampling.prompt_logprobs = 4;
  const stream scored = engine.run_alone(request, 9);
  REQUIRE(scored.prompt_logprobs.size() == 70);
  CHECK(scored.prompt_logprobs[0].top.empty());
  for (std::size_t i = 1; i < 70; ++i) {
    const auto& score = scored.prompt_logprobs[i];
    CHECK(score.token == request.prompt[i]);
    CHECK(score.logprob < 0.0f);
    REQUIRE(score.top.size() == 4);
    CHECK(score.top[0].logprob >= score.top[3].logprob);
    CHECK(score.top[0].logprob >= score.logprob);
  }
  // Whatever a prompt says about a token, the same prefix as a question says too.
  for (const std::size_t n : {1u, 16u, 33u, 69u}) {
    auto question = request;
    question.prompt.resize(n);
    question.sampling.prompt_logprobs = -1;
    question.sampling.max_tokens = 1;
    question.sampling.logprobs = 4;
    const stream answer = engine.run_alone(question);
    const auto& top = answer.tokens.at(0).top;
    CHECK(std::equal(top.begin(), top.end(), scored.prompt_logprobs[n].top.begin(), same_bits));
    CHECK(answer.tokens[0].token == top[0].token);
    CHECK(answer.tokens[0].logprob == top[0].logprob);
  }
  // All alternatives of one position are a distribution.
  auto whole = request;
  whole.sampling.prompt_logprobs = -1;
  whole.sampling.max_tokens = 1;
  double sum = 0;
  for (token_id token = 0; token < 384; ++token) {
    whole.sampling.logit_bias = {{token, 100.0f}};
    sum += std::exp(static_cast<double>(engine.run_alone(whole).tokens.at(0).logprob));
  }
  CHECK(std::abs(sum - 1.0) < 1e-4);
}
