// What cannot arrive is refused with a name, and what is given up on leaves nothing behind on either side.
#include "transfer_harness.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

tiny_engine small_engine(std::uint32_t n_blocks, std::uint32_t max_sequences = 64) {
  const kernels::kv_layout layout{kernels::kv_type::f16, 2, 16};
  cpu_engine_options options;
  options.n_threads = 1;
  options.kv_bytes = n_blocks * kv_storage::bytes_per_block(layout, 2);
  options.max_sequences = max_sequences;
  return tiny_engine(options);
}

constexpr sequence_id unknown{77};

}  // namespace

TEST_CASE("too few free blocks refuse an arrival, and the refusal costs nothing", "[engine][transfer]") {
  tiny_engine engine = small_engine(10);
  const auto runs = engine.add(random_request(1, 90, 5));
  step_all(engine, 512);
  REQUIRE(engine->status().blocks_free == 4);
  const auto request = random_request(2, 100, 10);
  CHECK(engine->reserve(request, 65).error().code == errc::overloaded);
  CHECK(engine->status().blocks_free == 4);
  const auto room = engine->reserve(request, 50);
  REQUIRE(room);
  CHECK(room->blocks.size() == 4);
  CHECK(engine->status().blocks_free == 0);
  CHECK(engine->grow(room->sequence, 64)->blocks.empty());
  CHECK(engine->grow(room->sequence, 65).error().code == errc::overloaded);
  CHECK(is_clean(engine));
  engine->remove(runs);
  const auto grown = engine->grow(room->sequence, 90);
  REQUIRE(grown);
  CHECK(grown->sequence == room->sequence);
  CHECK(grown->first_block == 4);
  CHECK(grown->blocks.size() == 2);
  CHECK(engine->grow(room->sequence, 20)->blocks.empty());  // never less
  engine->remove(room->sequence);
  CHECK(is_empty(engine));
}

TEST_CASE("an arriving sequence counts as admitted", "[engine][transfer]") {
  tiny_engine engine = small_engine(30, 2);
  const auto request = random_request(1, 20, 5);
  const auto runs = engine.add(request);
  step_all(engine, 512);
  const auto room = engine->reserve(request, 20);
  REQUIRE(room);
  CHECK(engine->reserve(request, 20).error().code == errc::overloaded);
  const auto waits = engine.add(request);
  engine.step({.preempt = {}, .grants = {{waits, 20}}});
  CHECK_FALSE(engine->sequences().back().admitted);
  REQUIRE(engine->commit(room->sequence, {}, {}));
  CHECK(engine->sequences().size() == 3);
  CHECK(engine->sequences()[1].id == room->sequence);  // in the order of their ids
  CHECK(engine->status().sequences_in_transfer == 0);
  engine->remove(runs);
  engine.run();
  CHECK(engine.of(waits).ids() == engine.of(room->sequence).ids());
  CHECK(is_empty(engine));
}

TEST_CASE("what could not be added cannot arrive", "[engine][transfer]") {
  tiny_engine engine = small_engine(4);  // a context of 64 tokens
  CHECK(engine->reserve(random_request(1, 64, 5), 10).error().code == errc::context_length_exceeded);
  CHECK(engine->reserve(random_request(1, 30, 5), 65).error().code == errc::context_length_exceeded);
  auto request = random_request(1, 30, 5);
  request.sampling.temperature = -1;
  CHECK(engine->reserve(request, 10).error().param == "temperature");
  request = random_request(1, 30, 5);
  request.sampling.grammar = {grammar_kind::gbnf, "root ::= missing"};
  CHECK(engine->reserve(request, 10).error().code == errc::invalid_argument);
  request.sampling.grammar = {grammar_kind::gbnf, R"(root ::= "a"*)"};
  request.resumed = {5};
  CHECK(engine->reserve(request, 10).error().param == "resumed");
  CHECK(is_empty(engine));
  const auto room = engine->reserve(random_request(1, 30, 5), 10);
  CHECK(engine->grow(room->sequence, 65).error().code == errc::context_length_exceeded);
}

TEST_CASE("a commit says what is wrong with it, and can be tried again", "[engine][transfer]") {
  tiny_engine engine = small_engine(10);
  auto request = random_request(1, 30, 50);
  request.resumed = {5, 6};
  const auto expected = small_engine(10).run_alone(request);
  const auto room = engine->reserve(request, 20);
  REQUIRE(room);
  const auto refusal = [&](const std::vector<token_id>& resumed, std::uint32_t n_computed) {
    const auto done = engine->commit(room->sequence, resumed, {.n_computed = n_computed, .prompt_logprobs = {}});
    REQUIRE_FALSE(done);
    CHECK(engine->status().sequences_in_transfer == 1);
    return done.error();
  };
  CHECK(refusal({5}, 0).param == "resumed");
  CHECK(refusal({5, 7, 8}, 0).param == "resumed");
  CHECK(refusal({5, 6, -1}, 0).code == errc::invalid_argument);
  CHECK(refusal(std::vector<token_id>(200, 5), 0).param == "resumed");
  CHECK(refusal({5, 6}, 32).param == "n_computed");  // nothing would be left to compute
  CHECK(refusal({5, 6}, 33).param == "n_computed");
  CHECK(refusal({5, 6, 7, 8, 9, 10}, 33).param == "n_computed");  // past the room
  std::vector<token_id> long_answer(200, 5);
  long_answer[1] = 6;
  CHECK(refusal(long_answer, 0).code == errc::context_length_exceeded);
  REQUIRE(engine->commit(room->sequence, request.resumed, {}));  // no position is computed yet
  CHECK(engine->commit(room->sequence, request.resumed, {}).error().code == errc::not_found);
  engine.run();
  CHECK(same(engine.of(room->sequence), expected));
  CHECK(is_empty(engine));
}

TEST_CASE("scores of the prompt travel with it, or it does not", "[engine][transfer]") {
  auto request = random_request(1, 60, 4);
  request.sampling.prompt_logprobs = 1;
  tiny_engine source = small_engine(10), target = small_engine(10);
  source.run_alone(request);
  target.run_alone(request);
  const auto id = source.add(request);
  step_all(source, 40);
  transfer t(source, target, id);
  REQUIRE(t.begin());
  CHECK(t.n_cached_tokens() == 0);  // what is shared has no scores
  REQUIRE(t.copy());
  const auto taken = source->snapshot(id);
  CHECK(taken->progress.prompt_logprobs.size() == 41);
  auto progress = taken->progress;
  progress.prompt_logprobs.pop_back();
  CHECK(target->commit(t.arriving(), {}, progress).error().param == "prompt_logprobs");
  CHECK(t.finish());
  target.run();
  CHECK(same(target.of(t.arriving()), small_engine(10).run_alone(request)));
}

TEST_CASE("ids that mean nothing are not found", "[engine][transfer]") {
  tiny_engine engine = small_engine(10);
  const auto runs = engine.add(random_request(1, 30, 5));
  const auto room = engine->reserve(random_request(2, 30, 5), 10);
  for (const sequence_id id : {unknown, room->sequence}) {  // an arriving one has nothing to leave with
    CHECK(engine->hold(id, 0).error().code == errc::not_found);
    CHECK(engine->pause(id).error().code == errc::not_found);
    CHECK(engine->resume(id).error().code == errc::not_found);
    CHECK(engine->snapshot(id).error().code == errc::not_found);
    CHECK(engine->listen(id, nullptr).error().code == errc::not_found);
  }
  for (const sequence_id id : {unknown, runs}) {
    CHECK(engine->grow(id, 10).error().code == errc::not_found);
    CHECK(engine->commit(id, {}, {}).error().code == errc::not_found);
  }
  engine->release(kv_hold_id{99});
  CHECK(is_clean(engine));
}

TEST_CASE("holds are bounded", "[engine][transfer]") {
  tiny_engine engine = small_engine(10);
  const auto id = engine.add(random_request(1, 30, 5));
  step_all(engine, 512);
  std::vector<kv_hold_id> holds;
  for (std::uint32_t i = 0; i < max_engine_holds; ++i)
    holds.push_back(engine->hold(id, 0)->id);
  CHECK(engine->hold(id, 0).error().code == errc::overloaded);
  engine->release(holds.back());
  CHECK(engine->hold(id, 0));
}

TEST_CASE("given up at any point, a move leaves nothing behind, and the source goes on", "[engine][transfer]") {
  const auto requests = requests_of_all_kinds();
  const auto expected = undisturbed(requests, {});
  for (std::size_t kind = 0; kind < requests.size(); ++kind)
    for (const int point : {0, 1, 2, 3, 4})
      for (const bool source_dies : {false, true}) {
        CAPTURE(kind, point, source_dies);
        tiny_engine source = small_engine(30), target = small_engine(30);
        const auto id = source.add(requests[kind]);
        step_all(source, 30);
        transfer t(source, target, id);
        REQUIRE(t.begin());
        if (point >= 1) REQUIRE(t.copy());
        if (point >= 2) step_all(source, 30);
        if (point >= 3 && source->snapshot(id)) REQUIRE(source->pause(id));
        if (point >= 4 && source->snapshot(id)) REQUIRE(t.copy());
        if (source_dies) source->remove(id);
        t.abort();
        CHECK(is_empty(target));
        REQUIRE(is_clean(source));
        source.run();
        CHECK(is_empty(source));
        if (!source_dies) CHECK(same(source.of(id), expected[kind]));
      }
}
