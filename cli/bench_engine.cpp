#include "cli/bench_engine.hpp"

#include "base/random.hpp"
#include "bench/report.hpp"
#include "runtime/engine/cpu_engine.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace troupe::cli {
namespace {

struct row {
  const char* name;
  bool decode;
  std::uint32_t prompt_tokens;
  std::uint32_t sequences;
  bool quick;  // part of --quick
};

// The rows of bench/vs_llama_cpp.py, by the same names.
constexpr row rows[] = {
    {"decode_batch1_context16", true, 16, 1, true},
    {"decode_batch1_context2048", true, 2048, 1, false},
    {"decode_batch16_context128", true, 128, 16, false},
    {"prefill_128", false, 128, 1, true},
    {"prefill_512", false, 512, 1, true},
    {"prefill_2048", false, 2048, 1, false},
};

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

result<std::unique_ptr<cpu_engine>> load(const bench_engine_options& options) {
  auto file = gguf_file::open(options.model);
  if (!file) return file.error();
  auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary) return vocabulary.error();
  cpu_engine_options made;
  made.isa = options.isa;
  made.n_threads = options.threads;
  made.prefix_caching = false;  // every prompt is computed
  return cpu_engine::create(*file, *vocabulary, made);
}

generation_request make_request(std::uint32_t n_prompt, std::uint32_t n_answer, std::uint32_t n_vocab,
                                std::uint64_t seed) {
  generation_request request;
  random_stream random(seed);
  for (std::uint32_t i = 0; i < n_prompt; ++i)
    request.prompt.push_back(static_cast<token_id>(100 + random.below(n_vocab - 100)));
  request.sampling.temperature = 0.0f;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = n_answer;
  return request;
}

enum class phase : unsigned char { prompts, answers };

// One step of a phase. While prompts are computed nobody draws a second token, so that all answers begin together.
std::size_t step(cpu_engine& engine, phase now, std::uint32_t prompt_tokens) {
  step_plan plan;
  std::uint32_t budget = engine.status().max_batched_tokens;
  for (const auto& s : engine.sequences()) {
    if (now == phase::prompts && s.n_known > prompt_tokens) continue;
    const std::uint32_t n = std::min(budget, s.n_known - s.n_computed);
    if (n > 0) plan.grants.push_back({s.id, n});
    budget -= n;
  }
  std::size_t drawn = 0;
  for (const auto& output : engine.step(plan))
    drawn += output.tokens.size();
  return drawn;
}

result<double> measure(cpu_engine& engine, const row& r, std::uint32_t decode_tokens, std::uint64_t seed) {
  const std::uint32_t n_vocab = engine.config().n_vocab;
  const std::uint32_t answer = r.decode ? decode_tokens + 1 : 1;
  for (std::uint32_t i = 0; i < r.sequences; ++i)
    if (auto added = engine.add(make_request(r.prompt_tokens, answer, n_vocab, seed + i)); !added) return added.error();
  auto start = clock::now();
  for (std::size_t drawn = 0; drawn < r.sequences;)
    drawn += step(engine, phase::prompts, r.prompt_tokens);
  if (!r.decode) return r.prompt_tokens / seconds_since(start);
  start = clock::now();
  std::size_t decoded = 0;
  while (!engine.sequences().empty())
    decoded += step(engine, phase::answers, r.prompt_tokens);
  return static_cast<double>(decoded) / seconds_since(start);
}

double peak_resident_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

}  // namespace

result<> bench_engine(const bench_engine_options& options) {
  std::string threads = std::to_string(options.threads), repeats = std::to_string(options.repeats);
  std::string command[] = {"troupe", "bench", "engine", "--threads", threads, "--repeats", repeats};
  std::vector<char*> argv;
  for (auto& word : command)
    argv.push_back(word.data());
  bench::report report("engine", static_cast<int>(argv.size()), argv.data());

  const std::uint32_t repeats_now = options.quick ? 1 : options.repeats;
  bench::claim loading{"load_model", "s", {}, 1.0, bench::goal::at_most};
  std::unique_ptr<cpu_engine> engine;
  for (std::uint32_t i = 0; i < repeats_now; ++i) {
    engine.reset();
    const auto start = clock::now();
    auto loaded = load(options);
    if (!loaded) return loaded.error();
    loading.samples.push_back(seconds_since(start));
    engine = *std::move(loaded);
  }
  report.add(loading);

  for (const auto& r : rows) {
    if (options.quick && !r.quick) continue;
    bench::claim claim{r.name, "tokens/s", {}, std::nullopt, bench::goal::at_least};
    for (std::uint32_t i = 0; i < repeats_now; ++i) {
      const auto rate = measure(*engine, r, options.decode_tokens, 100 * i + 1);
      if (!rate) return rate.error();
      claim.samples.push_back(*rate);
    }
    report.add(claim);
  }
  report.add({"peak_resident_memory", "MiB", {peak_resident_mib()}, std::nullopt, bench::goal::at_most});
  if (!options.json.empty() && !report.write(options.json))
    return make_error(errc::internal, "Cannot write '" + options.json + "'.", "json");
  return {};
}

}  // namespace troupe::cli
