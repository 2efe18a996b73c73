// A sequence that leaves one engine and arrives in another goes on to the bit, wherever it is on its way.
#include "transfer_harness.hpp"

#include <cstdlib>
#include <iostream>

using namespace troupe;
using namespace troupe::testing;

namespace {

cpu_engine_options options_for(kernels::kv_type kv, bool prefix_caching) {
  cpu_engine_options options;
  options.kv = kv;
  options.prefix_caching = prefix_caching;
  options.n_threads = 1;
  return options;
}

/// Each request is moved after each number of steps that it takes; returns how many moves that were.
int move_at_every_step(tiny_engine& source, tiny_engine& target, std::uint32_t chunk,
                       const std::vector<stream>& expected) {
  const auto requests = requests_of_all_kinds();
  int n_moves = 0;
  for (std::size_t kind = 0; kind < requests.size(); ++kind)
    for (int n_steps = 0;; ++n_steps) {
      CAPTURE(kind, n_steps);
      const auto id = source.add(requests[kind]);
      for (int i = 0; i < n_steps; ++i)
        step_all(source, chunk);
      if (source->sequences().empty()) break;
      const auto there = move_sequence(source, target, id);
      ++n_moves;
      target.run(chunk);
      REQUIRE(same(target.of(there), expected[kind]));
      CHECK(target.of(there).usage.completion_tokens == expected[kind].tokens.size());
      REQUIRE(is_empty(source));
      REQUIRE(is_empty(target));
    }
  return n_moves;
}

}  // namespace

TEST_CASE("moved at any step, a sequence gives the same tokens, texts and logprobs", "[engine][transfer][rule5]") {
  int n_moves = 0;
  for (const kernels::kv_type kv : kernels::kv_types) {
    const auto expected = undisturbed(requests_of_all_kinds(), options_for(kv, false));
    for (const bool source_caches : {false, true})
      for (const bool target_caches : {false, true})
        for (const std::uint32_t chunk : {7u, 512u}) {
          CAPTURE(to_string(kv), source_caches, target_caches, chunk);
          tiny_engine source(options_for(kv, source_caches));
          tiny_engine target(options_for(kv, target_caches));
          n_moves += move_at_every_step(source, target, chunk, expected);
        }
  }
  CHECK(n_moves > 3'000);
}

TEST_CASE("moved to and fro in company, with guesses and chunks of every size", "[engine][transfer][rule5]") {
  const auto requests = requests_of_all_kinds();
  const auto expected = undisturbed(requests, options_for(kernels::kv_type::f16, false));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    random_stream random(seed);
    tiny_engine left(options_for(kernels::kv_type::f16, seed % 2 == 0));
    tiny_engine right(options_for(kernels::kv_type::f16, seed % 3 == 0));
    std::vector<std::pair<tiny_engine*, sequence_id>> places;
    for (const auto& request : requests)
      places.emplace_back(&left, left.add(request));
    while (!left->sequences().empty() || !right->sequences().empty()) {
      for (auto& [engine, id] : places) {
        if (random.below(4) != 0 || !(*engine)->snapshot(id)) continue;
        tiny_engine& other = engine == &left ? right : left;
        id = move_sequence(*engine, other, id);
        engine = &other;
      }
      step_all(left, static_cast<std::uint32_t>(1 + random.below(20)));
      step_all(right, static_cast<std::uint32_t>(1 + random.below(20)));
    }
    for (std::size_t i = 0; i < places.size(); ++i) {
      CAPTURE(i);
      CHECK(same(places[i].first->of(places[i].second), expected[i]));
    }
    CHECK(is_empty(left));
    CHECK(is_empty(right));
  }
}

TEST_CASE("a live migration copies full blocks in stages while the source decodes", "[engine][transfer]") {
  auto request = random_request(5, 100, 120);
  request.sampling.temperature = 0.7f;
  const auto expected = undisturbed({request}, options_for(kernels::kv_type::f16, false)).front();
  tiny_engine source(options_for(kernels::kv_type::f16, true));
  tiny_engine target(options_for(kernels::kv_type::f16, true));
  const auto id = source.add(request);
  step_all(source, 512);
  transfer t(source, target, id);
  REQUIRE(t.begin());
  for (int stage = 0; stage < 3; ++stage) {
    REQUIRE(t.copy());
    for (int i = 0; i < 20; ++i)
      step_all(source, 1);
    CHECK(source.of(id).tokens.size() == 21u + 20u * static_cast<unsigned>(stage));
    CHECK(target->sequences().empty());
    CHECK(target->status().sequences_in_transfer == 1);
    REQUIRE(is_clean(target));
  }
  const std::size_t before = t.n_bytes();
  const auto there = t.finish();
  REQUIRE(there);
  CHECK(t.n_bytes() - before <= 3 * target->geometry().n_layers * target->geometry().layer_bytes);
  CHECK(target->sequences().front().n_computed == 160);  // of 100 + 61 tokens
  target.run();
  CHECK(same(target.of(*there), expected));
  CHECK(is_empty(source));
  CHECK(is_empty(target));
}

TEST_CASE("what the target knows need not be sent, and what arrived is known there", "[engine][transfer]") {
  tiny_engine source(options_for(kernels::kv_type::f16, true));
  tiny_engine target(options_for(kernels::kv_type::f16, true));
  const auto request = random_request(3, 70, 8);
  source.run_alone(request);
  for (const std::uint32_t known : {0u, 64u}) {  // the first arrival makes it known
    const auto id = source.add(request);
    step_all(source, 512);
    transfer t(source, target, id);
    REQUIRE(t.begin());
    CHECK(t.n_cached_tokens() == known);
    const auto there = t.finish();
    REQUIRE(there);
    const auto twin = target->reserve(request, 70);  // no step is needed for that
    CHECK(twin->n_cached_tokens == 64);
    target->remove(twin->sequence);
    target.run();
    CHECK(target.of(*there).usage.cached_tokens == 64);  // found at the first admission, at the source
    CHECK(t.n_bytes() == (5 - known / block_tokens) * target->geometry().n_layers * target->geometry().layer_bytes);
  }
  CHECK(target.run_alone(request).usage.cached_tokens == 64);
  auto other = request;
  other.tenant = "someone else";
  CHECK(target.run_alone(other).usage.cached_tokens == 0);
}

TEST_CASE("a snapshot is the request as it came, with what has come of it", "[engine][transfer]") {
  tiny_engine engine(options_for(kernels::kv_type::f16, true));
  for (const auto& request : requests_of_all_kinds()) {
    const auto id = engine.add(request);
    for (int i = 0; i < 4; ++i)
      step_all(engine, 512);
    const auto taken = engine->snapshot(id);
    REQUIRE(taken);
    CHECK(taken->request.id == request.id);
    CHECK(taken->request.prompt == request.prompt);
    CHECK(taken->request.tenant == request.tenant);
    CHECK(taken->request.sampling.stop == request.sampling.stop);
    CHECK(taken->request.sampling.grammar == request.sampling.grammar);
    CHECK(taken->request.resumed == engine.of(id).ids());
    CHECK(taken->progress.n_computed == request.prompt.size() + taken->request.resumed.size() - 1);
    CHECK(taken->progress.prompt_logprobs.empty());  // given out with the first token
    engine->remove(id);
  }
}

TEST_CASE("engines of one file, one build and the same options have the same fingerprint", "[engine][transfer]") {
  const auto fingerprint = [](const tiny_model_options& model, auto&& change) {
    cpu_engine_options options;
    options.n_threads = 1;
    options.isa = "reference";
    change(options);
    return tiny_engine(options, model)->fingerprint();
  };
  const auto plain = fingerprint({}, [](auto&) {});
  CHECK(plain == fingerprint({}, [](auto& o) {
          o.n_threads = 2;
          o.max_sequences = 3;
          o.prefix_caching = false;
        }));
  std::vector<kv_fingerprint> all{plain};
  all.push_back(fingerprint({.seed = 2}, [](auto&) {}));
  all.push_back(fingerprint({.name = "another"}, [](auto&) {}));
  all.push_back(fingerprint({.n_layers = 3}, [](auto&) {}));
  all.push_back(fingerprint({.weights = kernels::weight_type::q8_0}, [](auto&) {}));
  all.push_back(fingerprint({}, [](auto& o) { o.kv = kernels::kv_type::f32; }));
  all.push_back(fingerprint({}, [](auto& o) { o.kv = kernels::kv_type::q8_0; }));
  for (const kernels::table* table : kernels::available())
    if (table != &kernels::reference()) all.push_back(fingerprint({}, [&](auto& o) { o.isa = table->isa; }));
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      CAPTURE(i, j);
      CHECK_FALSE(all[i] == all[j]);
    }
}

TEST_CASE("the digest of a file sees a change in any tensor, at its beginning and at its end", "[engine][transfer]") {
  auto bytes = build_tiny_model({.n_embd = 128, .n_ff = 512});
  const auto digest = [&] { return (*gguf_file::parse(bytes))->digest(); };
  const auto before = digest();
  CHECK(before == digest());
  const auto file = *gguf_file::parse(bytes);
  for (std::size_t i = 0; i < file->n_tensors(); ++i)
    for (const bool at_end : {false, true}) {
      const auto data = file->tensor(i).data;
      const auto offset = static_cast<std::size_t>((at_end ? &data.back() : &data.front()) - bytes.data());
      bytes[offset] ^= std::byte{1};
      CHECK_FALSE(digest() == before);
      bytes[offset] ^= std::byte{1};
    }
  CHECK(digest() == before);
}

TEST_CASE("the real model's sequences move too", "[engine][transfer][real]") {
  const char* path = std::getenv("TROUPE_TEST_MODEL");
  if (path == nullptr || *path == '\0') {
    std::cout << "skipped: TROUPE_TEST_MODEL is not set\n";
    return;
  }
  tiny_engine source({}, std::filesystem::path(path));
  tiny_engine target({}, std::filesystem::path(path));
  CHECK(source->fingerprint() == target->fingerprint());
  generation_request request;
  request.prompt = source.vocabulary().encode(
      "A train leaves the station at nine and travels at sixty miles an hour. A second one leaves an hour later and "
      "travels at ninety. When do they meet, and how far from the station? Think step by step.",
      special_tokens::as_text);
  request.sampling.max_tokens = 30;
  request.sampling.ignore_eos = true;
  request.sampling.logprobs = 5;
  request.sampling.seed = 11;
  for (const float temperature : {0.0f, 0.8f}) {
    request.sampling.temperature = temperature;
    const stream expected = source.run_alone(request, 16);
    for (const std::size_t n_tokens : {0u, 1u, 20u}) {  // a step may make several, but leaves some of 30
      CAPTURE(temperature, n_tokens);
      source->reset_prefix_cache();
      target->reset_prefix_cache();
      const auto id = source.add(request);
      do
        step_all(source, 16);
      while (source.of(id).tokens.size() < n_tokens);
      const auto there = move_sequence(source, target, id);
      target.run(16);
      CHECK(same(target.of(there), expected));
      CHECK(is_empty(source));
      CHECK(is_empty(target));
    }
  }
}
