// Where the KV blocks are: none is lost, none is held twice, none is shared between tenants.
#include "engine_harness.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

/// An engine with this many blocks.
tiny_engine engine_with_blocks(std::uint32_t n_blocks, bool prefix_caching = true) {
  const kernels::kv_layout layout{kernels::kv_type::f16, 2, 16};
  cpu_engine_options options;
  options.kv_bytes = n_blocks * kv_storage::bytes_per_block(layout, 2);
  options.prefix_caching = prefix_caching;
  return tiny_engine(options);
}

}  // namespace

TEST_CASE("every block comes back, whatever happens to the sequences", "[engine][blocks]") {
  tiny_engine engine = engine_with_blocks(24);
  REQUIRE(engine->status().blocks_total == 24);
  random_stream random(7);
  for (int i = 0; i < 3'000; ++i) {
    if (random.below(3) == 0 && engine->sequences().size() < 12) {
      auto request =
          random_request(random.below(6), 1 + random.below(90), static_cast<std::uint32_t>(random.below(40)));
      request.tenant = random.below(2) ? "a" : "";
      if (random.below(5) == 0) request.sampling.prompt_logprobs = 1;
      engine.add(request);
    }
    step_plan plan;
    for (const auto& s : engine->sequences()) {
      const auto what = random.below(40);
      if (what == 0)
        engine->remove(s.id);
      else if (what < 3)
        plan.preempt.push_back(s.id);
      else if (what < 30)
        plan.grants.push_back({s.id, static_cast<std::uint32_t>(random.below(50))});
    }
    engine.step(plan);
    const auto audit = engine->audit();
    if (!audit) FAIL(audit.error().message);
  }
  for (const auto& s : engine->sequences())
    engine->remove(s.id);
  CHECK(engine->status().blocks_free == 24);
  CHECK(engine->status().blocks_cached > 0);
  engine->reset_prefix_cache();
  CHECK(engine->status().blocks_cached == 0);
  CHECK(engine->audit());
}

TEST_CASE("a grant without blocks is left out, and the sequence waits on", "[engine][blocks]") {
  tiny_engine engine = engine_with_blocks(4, false);
  const auto first = engine.add(random_request(1, 48, 2));
  const auto second = engine.add(random_request(2, 32, 2));
  CHECK_FALSE(engine.step({.preempt = {}, .grants = {{second, 16}, {first, 47}}}));  // 1 + 3 blocks
  CHECK_FALSE(engine.step({.preempt = {}, .grants = {{second, 16}}}));
  const auto held = engine->sequences();
  CHECK(held[1].n_computed == 16);
  CHECK(held[1].n_blocks == 1);
  CHECK(engine.step({.preempt = {}, .grants = {{first, 1}}}));
  CHECK(engine.of(first).tokens.size() == 1);
  CHECK_FALSE(engine.step({.preempt = {first}, .grants = {{second, 15}}}));
  CHECK_FALSE(engine->sequences()[0].admitted);
  CHECK(engine->sequences()[0].n_known == 49);
  engine->remove(second);
  engine.run();
  CHECK(engine.of(first).tokens.size() == 2);
  CHECK(engine->status().blocks_free == 4);
}

TEST_CASE("a sequence that runs alone always reaches its end", "[engine][blocks]") {
  tiny_engine engine = engine_with_blocks(3);
  CHECK(engine->status().max_context == 48);
  const stream s = engine.run_alone(random_request(1, 40, 500));
  CHECK(s.tokens.size() == 8);
  CHECK(s.reason == finish_reason::length);
  CHECK(engine->add(random_request(1, 48, 1)).error().code == errc::context_length_exceeded);
}

TEST_CASE("no more than max_sequences are admitted and max_batched_tokens computed", "[engine]") {
  cpu_engine_options options;
  options.max_sequences = 2;
  options.max_batched_tokens = 10;
  tiny_engine engine(options);
  std::vector<sequence_id> ids;
  for (std::uint64_t i = 0; i < 3; ++i)
    ids.push_back(engine.add(random_request(i, 20, 3)));
  engine.step({.preempt = {}, .grants = {{ids[0], 8}, {ids[1], 8}, {ids[2], 8}}});
  auto status = engine->sequences();
  CHECK(status[0].n_computed == 8);
  CHECK(status[1].n_computed == 2);
  engine.step({.preempt = {}, .grants = {{ids[2], 8}}});
  CHECK_FALSE(engine->sequences()[2].admitted);
  engine.run(4);
  for (const auto id : ids)
    CHECK(engine.of(id).tokens.size() == 3);
}

TEST_CASE("a known beginning is found, by its own tenant only", "[engine][blocks]") {
  tiny_engine engine;
  auto request = random_request(1, 70, 10);
  CHECK(engine.run_alone(request).usage.cached_tokens == 0);
  CHECK(engine.run_alone(request).usage.cached_tokens == 64);
  request.prompt.resize(64);  // the last token is computed in any case
  CHECK(engine.run_alone(request).usage.cached_tokens == 48);
  request.tenant = "someone else";
  CHECK(engine.run_alone(request).usage.cached_tokens == 0);
  CHECK(engine.run_alone(request).usage.cached_tokens == 48);
  request.sampling.prompt_logprobs = 0;  // every token has to be computed
  CHECK(engine.run_alone(request).usage.cached_tokens == 0);
  CHECK(engine->status().prefix_tokens_hit == 64 + 48 + 48);
}

TEST_CASE("generated tokens are known beginnings too", "[engine][blocks]") {
  tiny_engine engine;
  auto request = random_request(1, 20, 60);
  const auto answer = engine.run_alone(request).ids();
  request.prompt.insert(request.prompt.end(), answer.begin(), answer.end());  // the next turn of a chat
  request.sampling.max_tokens = 1;
  CHECK(engine.run_alone(request).usage.cached_tokens == 64);  // of 79 computed positions
}

TEST_CASE("plans may name sequences that are gone", "[engine]") {
  tiny_engine engine;
  CHECK_FALSE(engine.step({.preempt = {sequence_id{7}}, .grants = {{sequence_id{8}, 4}}}));
  engine->remove(sequence_id{9});
  CHECK_FALSE(engine.step({}));
}
