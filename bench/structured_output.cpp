// What it costs to hold answers to JSON schemas: compiling them, the masks of real answers token by token, and their
// share of a decoding step. The answers are the model's own, one sequence at a time; masks are then measured again
// alone on the same tokens, with nothing remembered (the first request with its schema) and with what that left behind.
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "bench/engine_alone.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/grammar/grammar_matcher.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::bench {
namespace {

constexpr std::uint32_t answer_tokens = 64;
constexpr double largest_share = 5.0;  // per cent of a decoding step

struct schema_answer {
  std::string name;
  std::string source;
  std::shared_ptr<const compiled_grammar> compiled;
  std::vector<token_id> tokens;  // of the model's answer
};

double mean(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

double quantile(std::vector<double> samples, double q) {
  std::ranges::sort(samples);
  return samples[static_cast<std::size_t>(std::lround(q * static_cast<double>(samples.size() - 1)))];
}

result<std::vector<schema_answer>> compile_schemas(report& made, const options& wanted) {
  std::ifstream in(wanted.schemas);
  const auto entries = nlohmann::ordered_json::parse(in, nullptr, false);
  if (!entries.is_array() || entries.empty())
    return make_error(errc::not_found,
                      "'" + wanted.schemas.string() +
                          "' is not a list of {\"name\": str, \"schema\": schema}; --schemas names another file.",
                      "schemas");
  std::vector<schema_answer> all;
  claim compiling{"compile a schema", "ms", {}, {}, goal::at_most};
  for (const auto& entry : entries) {
    schema_answer one{entry.value("name", ""), entry.value("schema", nlohmann::ordered_json()).dump(), {}, {}};
    std::vector<double> times;
    for (int i = 0; i < 5; ++i) {
      const auto start = clock::now();
      auto compiled = compile_json_schema(one.source);
      times.push_back(1e3 * seconds_since(start));
      if (!compiled) return compiled.error();
      one.compiled = *std::move(compiled);
    }
    compiling.samples.push_back(median(times));
    all.push_back(std::move(one));
  }
  made.add(compiling);
  made.add({"compile a schema, the slowest", "ms", {quantile(compiling.samples, 1)}, 100.0, goal::at_most});
  if (wanted.quick) all.resize(std::min<std::size_t>(all.size(), 10));
  return all;
}

result<std::shared_ptr<const token_set>> build_tokens(report& made, const tokenizer& words, int n) {
  std::vector<std::string_view> texts(words.vocabulary_size());
  std::vector<token_id> ends;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    texts[i] = words.token_bytes(id);
    if (words.is_end(id)) ends.push_back(id);
  }
  claim building{"make the token set of " + std::to_string(texts.size()) + " tokens", "ms", {}, {}, goal::at_most};
  result<std::shared_ptr<const token_set>> set = std::shared_ptr<const token_set>();
  for (int i = 0; i < n; ++i) {
    const auto start = clock::now();
    set = token_set::build(texts, ends, [&](token_id id) { return words.is_control(id); });
    building.samples.push_back(1e3 * seconds_since(start));
  }
  made.add(building);
  return set;
}

/// The tokens of one answer; each decoding step's seconds are added to `steps`.
result<std::vector<token_id>> generate(cpu_engine& engine, generation_request request, std::vector<double>& steps) {
  const auto added = engine.add(std::move(request));
  if (!added) return added.error();
  std::vector<token_id> tokens;
  while (!engine.sequences().empty()) {
    const auto status = engine.sequences().front();
    const auto start = clock::now();
    const auto outputs = engine.step({{}, {{status.id, status.n_known - status.n_computed}}});
    if (status.n_known - status.n_computed == 1) steps.push_back(seconds_since(start));
    for (const auto& output : outputs) {
      if (output.failure) return *output.failure;
      for (const auto& token : output.tokens)
        tokens.push_back(token.token);
    }
  }
  return tokens;
}

/// Answers to every schema, half of them greedy, and as many tokens without a grammar. Returns the mean decoding step
/// without one, in seconds.
result<double> answer_all(report& made, cpu_engine& engine, const tokenizer& words, std::vector<schema_answer>& all) {
  std::vector<double> held, plain;
  std::size_t n_tokens = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto prompt = words.encode("Give an example of " + all[i].name + " as JSON: ", special_tokens::as_text);
    auto request = make_request(prompt, answer_tokens);
    request.sampling.temperature = i % 2 == 0 ? 0.0f : 1.0f;
    request.sampling.seed = i;
    auto free = request;
    request.sampling.ignore_eos = false;
    request.sampling.grammar = {grammar_kind::json_schema, all[i].source};
    auto answered = generate(engine, std::move(request), held);
    if (!answered) return answered.error();
    all[i].tokens = *std::move(answered);
    free.sampling.max_tokens = static_cast<std::uint32_t>(all[i].tokens.size());
    n_tokens += all[i].tokens.size();
    if (const auto done = generate(engine, std::move(free), plain); !done) return done.error();
  }
  if (held.empty() || plain.empty())
    return make_error(errc::invalid_argument, "The schemas allow no answer of more than one token.", "schemas");
  made.add({"tokens of the answers", "tokens", {static_cast<double>(n_tokens)}, {}, goal::at_least});
  made.add({"decoding step without a grammar, mean", "ms", {1e3 * mean(plain)}, {}, goal::at_most});
  made.add({"decoding step with a grammar, mean", "ms", {1e3 * mean(held)}, {}, goal::at_most});
  return mean(plain);
}

/// Seconds of the grammar's work for each token: the mask, reading the token on trial, and reading it for good.
result<std::vector<double>> replay(const std::shared_ptr<grammar_matcher>& matcher, const schema_answer& answer) {
  std::vector<std::uint64_t> mask(matcher->tokens().mask_words());
  grammar_state state(matcher);
  std::vector<double> times;
  for (const token_id token : answer.tokens) {
    const auto start = clock::now();
    if (const auto found = state.mask(mask); !found) return found.error();
    grammar_state trial = state;
    const bool is_allowed = trial.accept(token) && state.accept(token);
    static_cast<void>(trial.bytes_to_end());
    times.push_back(seconds_since(start));
    if (!is_allowed) return make_error(errc::internal, "An answer is not a text of its grammar.");
  }
  return times;
}

result<> measure_masks(report& made, const std::shared_ptr<const token_set>& tokens,
                       const std::vector<schema_answer>& all, double step_s, int n) {
  struct series {
    const char* name;
    std::vector<double> medians, tails, means, shares;
  };
  series fresh{"new schema", {}, {}, {}, {}}, known{"known schema", {}, {}, {}, {}};
  claim first{"first mask of a new schema, its matcher made", "us", {}, {}, goal::at_most};
  std::size_t largest_cache = 0, caches = 0;
  for (int i = 0; i < n; ++i) {
    std::vector<double> cold, warm;
    largest_cache = caches = 0;
    for (const auto& answer : all) {
      const auto start = clock::now();
      const auto matcher = std::make_shared<grammar_matcher>(answer.compiled, tokens);
      const double making_s = seconds_since(start);
      auto once = replay(matcher, answer), again = replay(matcher, answer);
      if (!once) return once.error();
      if (!again) return again.error();
      if (once->empty()) continue;
      once->front() += making_s;
      first.samples.push_back(1e6 * once->front());
      cold.insert(cold.end(), once->begin(), once->end());
      warm.insert(warm.end(), again->begin(), again->end());
      largest_cache = std::max(largest_cache, matcher->cached_bytes());
      caches += matcher->cached_bytes();
    }
    const auto add = [&](series& to, const std::vector<double>& times) {
      to.medians.push_back(1e6 * median(times));
      to.tails.push_back(1e6 * quantile(times, 0.99));
      to.means.push_back(1e6 * mean(times));
      to.shares.push_back(100 * mean(times) / step_s);
    };
    add(fresh, cold);
    add(known, warm);
  }
  made.add(first);
  for (const auto& one : {fresh, known}) {
    const std::string name = std::string("mask of a token, ") + one.name;
    made.add({name + ", median", "us", one.medians, {}, goal::at_most});
    made.add({name + ", 99th percentile", "us", one.tails, {}, goal::at_most});
    made.add({name + ", mean", "us", one.means, {}, goal::at_most});
    made.add({"share of a decoding step, " + std::string(one.name), "%", one.shares, largest_share, goal::at_most});
  }
  made.add({"masks kept for all schemas", "MiB", {static_cast<double>(caches) / (1 << 20)}, {}, goal::at_most});
  made.add({"masks kept for one schema, the most",
            "MiB",
            {static_cast<double>(largest_cache) / (1 << 20)},
            {},
            goal::at_most});
  return {};
}

}  // namespace

result<report> structured_output(const options& wanted) {
  report made("structured-output");
  auto all = compile_schemas(made, wanted);
  if (!all) return all.error();
  const auto file = gguf_file::open(wanted.model);
  if (!file) return file.error();
  const auto words = tokenizer::from_gguf(**file);
  if (!words) return words.error();
  const int n = wanted.quick ? 1 : static_cast<int>(std::max(1u, wanted.repeats));
  const auto tokens = build_tokens(made, **words, n);
  if (!tokens) return tokens.error();
  const auto engine = load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!engine) return engine.error();
  const auto step_s = answer_all(made, **engine, **words, *all);
  if (!step_s) return step_s.error();
  if (const auto measured = measure_masks(made, *tokens, *all, *step_s, n); !measured) return measured.error();
  return made;
}

}  // namespace troupe::bench
