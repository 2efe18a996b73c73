// What ends an answer, and what is refused before it begins.
#include "engine_harness.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr token_id im_end = 2;

/// Always draws this token, whatever the model says.
void force(generation_request& request, token_id token) {
  request.sampling.logit_bias = {{token, 100.0f}};
}

}  // namespace

TEST_CASE("an answer ends at max_tokens", "[engine]") {
  tiny_engine engine;
  const stream s = engine.run_alone(random_request(1, 10, 7));
  CHECK(s.reason == finish_reason::length);
  CHECK(s.tokens.size() == 7);
  for (std::uint32_t i = 0; i < 7; ++i)
    CHECK(s.tokens[i].index == i);
  CHECK(s.usage.prompt_tokens == 10);
  CHECK(s.usage.completion_tokens == 7);
  CHECK(engine->sequences().empty());
}

TEST_CASE("an answer ends at the model's end token, which has no text", "[engine]") {
  tiny_engine engine;
  auto request = random_request(1, 10, 7);
  request.sampling.ignore_eos = false;
  force(request, im_end);
  const stream s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::stop);
  CHECK(s.ids() == std::vector<token_id>{im_end});
  CHECK(s.text().empty());
  CHECK(s.usage.completion_tokens == 1);

  request.sampling.ignore_eos = true;
  const stream on = engine.run_alone(request);
  CHECK(on.reason == finish_reason::length);
  CHECK(on.tokens.size() == 7);
}

TEST_CASE("no end token before min_tokens", "[engine]") {
  tiny_engine engine;
  auto request = random_request(1, 10, 20);
  request.sampling.ignore_eos = false;
  request.sampling.min_tokens = 5;
  force(request, im_end);
  const stream s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::stop);
  REQUIRE(s.tokens.size() == 6);
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(s.tokens[i].token != im_end);
  CHECK(s.tokens[5].token == im_end);
}

TEST_CASE("an answer ends at a stop token, whose text is kept only when asked for", "[engine]") {
  tiny_engine engine;
  const auto ids = engine.vocabulary().encode("z", special_tokens::as_text);
  REQUIRE(ids.size() == 1);
  auto request = random_request(1, 10, 7);
  request.sampling.stop_tokens = ids;
  force(request, ids[0]);
  stream s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::stop);
  CHECK(s.tokens.size() == 1);
  CHECK(s.text().empty());
  request.sampling.include_stop_in_output = true;
  s = engine.run_alone(request);
  CHECK(s.text() == "z");
}

TEST_CASE("an answer ends before a stop string, also one of several tokens", "[engine]") {
  tiny_engine engine;
  auto request = random_request(1, 10, 20);
  force(request, engine.vocabulary().encode("z", special_tokens::as_text)[0]);
  request.sampling.stop = {"zzz"};
  stream s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::stop);
  CHECK(s.tokens.size() == 3);
  CHECK(s.text().empty());

  request.sampling.min_tokens = 4;
  s = engine.run_alone(request);
  CHECK(s.text() == "zzzz");
  CHECK(s.tokens.size() == 7);

  request.sampling.min_tokens = 0;
  request.sampling.stop = {"zzy"};  // held back, never met, given out at the end
  s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::length);
  CHECK(s.text() == std::string(20, 'z'));
}

TEST_CASE("a stop string may begin in resumed tokens", "[engine]") {
  tiny_engine engine;
  auto request = random_request(1, 10, 20);
  const token_id z = engine.vocabulary().encode("z", special_tokens::as_text)[0];
  force(request, z);
  request.sampling.stop = {"zzz"};
  request.resumed = {z, z};
  const stream s = engine.run_alone(request);
  CHECK(s.reason == finish_reason::stop);
  REQUIRE(s.tokens.size() == 1);
  CHECK(s.tokens[0].index == 2);
  CHECK(s.usage.completion_tokens == 3);

  request.resumed = {z, z, z};  // the earlier worker died before it could say so
  const stream ended = engine.run_alone(request);
  CHECK(ended.reason == finish_reason::stop);
  CHECK(ended.tokens.empty());
  request.sampling.stop.clear();
  request.sampling.max_tokens = 3;
  CHECK(engine.run_alone(request).reason == finish_reason::length);
}

TEST_CASE("an answer ends when the context is full", "[engine]") {
  cpu_engine_options options;
  options.max_context = 40;
  tiny_engine engine(options);
  const stream s = engine.run_alone(random_request(1, 30, 1'000));
  CHECK(s.reason == finish_reason::length);
  CHECK(s.tokens.size() == 10);
}

TEST_CASE("max_tokens of 0 scores the prompt and draws nothing", "[engine]") {
  tiny_engine engine;
  for (const std::size_t n : {1u, 20u}) {
    auto request = random_request(1, n, 0);
    request.sampling.prompt_logprobs = 0;
    const stream s = engine.run_alone(request, 6);
    CHECK(s.reason == finish_reason::length);
    CHECK(s.tokens.empty());
    CHECK(s.prompt_logprobs.size() == n);
  }
}

TEST_CASE("what cannot be answered is refused with the field at fault", "[engine]") {
  cpu_engine_options options;
  options.max_context = 40;
  tiny_engine engine(options);
  const auto refusal = [&](auto&& change) {
    auto request = random_request(1, 10, 5);
    change(request);
    const auto id = engine->add(request);
    REQUIRE(!id);
    return id.error();
  };
  CHECK(refusal([](auto& r) { r.prompt.clear(); }).param == "prompt");
  CHECK(refusal([](auto& r) { r.prompt[3] = -1; }).code == errc::invalid_argument);
  CHECK(refusal([](auto& r) { r.prompt[3] = 384; }).message.find("384") != std::string::npos);
  CHECK(refusal([](auto& r) { r.resumed = {1 << 30}; }).code == errc::invalid_argument);
  CHECK(refusal([](auto& r) { r.prompt.resize(40); }).code == errc::context_length_exceeded);
  CHECK(refusal([](auto& r) { r.sampling.temperature = -1; }).param == "temperature");
  CHECK(refusal([](auto& r) { r.sampling.logit_bias = {{9'999, 1.0f}}; }).param == "logit_bias");
  CHECK(refusal([](auto& r) { r.sampling.logprobs = 101; }).param == "logprobs");
  auto whole = random_request(1, 40, 0);  // fits when nothing is to come after it
  CHECK(engine->add(whole));
  CHECK(engine->sequences().size() == 1);
}

TEST_CASE("options out of range are refused", "[engine]") {
  const auto bytes = build_tiny_model();
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file);
  const auto vocabulary = tokenizer::from_gguf(**file);
  REQUIRE(vocabulary);
  const auto refused = [&](auto&& change) {
    cpu_engine_options options;
    options.n_threads = 1;
    change(options);
    const auto engine = cpu_engine::create(*file, *vocabulary, options);
    return engine ? std::string() : engine.error().param;
  };
  CHECK(refused([](auto&) {}).empty());
  CHECK(refused([](auto& o) { o.isa = "mmx"; }) == "kernels");
  CHECK(refused([](auto& o) { o.max_sequences = 0; }) == "max_sequences");
  CHECK(refused([](auto& o) { o.max_sequences = 1'025; }) == "max_sequences");
  CHECK(refused([](auto& o) { o.max_batched_tokens = 0; }) == "max_batched_tokens");
  CHECK(refused([](auto& o) { o.kv_bytes = 100; }) == "kv_bytes");
}
