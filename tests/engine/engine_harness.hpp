// A tiny engine in memory and a plain driver: every sequence gets up to `chunk` tokens a step, in the order of arrival.
#pragma once

#include "base/random.hpp"
#include "catch.hpp"
#include "runtime/engine/cpu_engine.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/gguf/tiny_model.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::testing {

/// What came out of one sequence, steps joined.
struct stream {
  std::vector<generated_token> tokens;
  std::vector<prompt_token_logprob> prompt_logprobs;
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;

  std::string text() const {
    std::string all;
    for (const auto& token : tokens)
      all += token.text;
    return all;
  }
  std::vector<token_id> ids() const {
    std::vector<token_id> all;
    for (const auto& token : tokens)
      all.push_back(token.token);
    return all;
  }
};

inline bool same_bits(const token_logprob& a, const token_logprob& b) {
  return a.token == b.token && a.logprob == b.logprob;
}

/// Tokens, texts and every logprob, to the bit.
inline bool same(const generated_token& a, const generated_token& b) {
  return a.index == b.index && a.token == b.token && a.text == b.text && a.logprob == b.logprob &&
         std::equal(a.top.begin(), a.top.end(), b.top.begin(), b.top.end(), same_bits);
}
inline bool same(const stream& a, const stream& b) {
  const auto same_prompt = [](const prompt_token_logprob& x, const prompt_token_logprob& y) {
    return x.token == y.token && x.logprob == y.logprob &&
           std::equal(x.top.begin(), x.top.end(), y.top.begin(), y.top.end(), same_bits);
  };
  return a.reason == b.reason &&
         std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end(),
                    [](const auto& x, const auto& y) { return same(x, y); }) &&
         std::equal(a.prompt_logprobs.begin(), a.prompt_logprobs.end(), b.prompt_logprobs.begin(),
                    b.prompt_logprobs.end(), same_prompt);
}

class tiny_engine {
 public:
  explicit tiny_engine(cpu_engine_options options = {}, const tiny_model_options& model = {})
      : bytes_(build_tiny_model(model)) {
    start(gguf_file::parse(bytes_), options);
  }
  /// A model from a file instead.
  tiny_engine(cpu_engine_options options, const std::filesystem::path& path) { start(gguf_file::open(path), options); }

  cpu_engine& operator*() { return *engine_; }
  cpu_engine* operator->() { return engine_.get(); }
  const tokenizer& vocabulary() const { return *vocabulary_; }

  sequence_id add(generation_request request) {
    auto id = engine_->add(std::move(request));
    if (!id) FAIL(id.error().message);
    return *id;
  }

  /// One step; false when nothing came out.
  bool step(const step_plan& plan) {
    const auto outputs = engine_->step(plan);
    for (const sequence_output& output : outputs) {
      stream& s = streams_[output.id];
      s.tokens.insert(s.tokens.end(), output.tokens.begin(), output.tokens.end());
      if (!output.prompt_logprobs.empty()) s.prompt_logprobs = output.prompt_logprobs;
      s.reason = output.reason;
      s.usage = output.usage;
    }
    return !outputs.empty();
  }

  /// Steps until every sequence has ended.
  void run(std::uint32_t chunk = 512) {
    for (int steps = 0; !engine_->sequences().empty(); ++steps) {
      REQUIRE(steps < 20'000);
      step_plan plan;
      for (const auto& s : engine_->sequences())
        plan.grants.push_back({s.id, chunk});
      step(plan);
    }
  }

  stream& of(sequence_id id) { return streams_[id]; }
  stream run_alone(generation_request request, std::uint32_t chunk = 512) {
    const sequence_id id = add(std::move(request));
    run(chunk);
    return of(id);
  }

 private:
  void start(result<std::shared_ptr<const gguf_file>> file, cpu_engine_options options) {
    REQUIRE(file);
    auto vocabulary = tokenizer::from_gguf(**file);
    REQUIRE(vocabulary);
    if (options.n_threads == 0) options.n_threads = 2;
    auto created = cpu_engine::create(*file, *vocabulary, options);
    if (!created) FAIL(created.error().message);
    engine_ = std::move(*created);
    vocabulary_ = *vocabulary;
  }

  std::vector<std::byte> bytes_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::unique_ptr<cpu_engine> engine_;
  std::map<sequence_id, stream> streams_;
};

/// Random tokens of the tiny vocabulary, the control tokens left out.
inline generation_request random_request(std::uint64_t seed, std::size_t n_prompt, std::uint32_t max_tokens) {
  random_stream random(seed);
  generation_request request;
  for (std::size_t i = 0; i < n_prompt; ++i)
    request.prompt.push_back(static_cast<token_id>(3 + random.below(290)));
  request.sampling.max_tokens = max_tokens;
  request.sampling.temperature = 0.0f;
  request.sampling.ignore_eos = true;
  request.sampling.seed = seed;
  return request;
}

}  // namespace troupe::testing
