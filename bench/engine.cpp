// How fast the engine alone is: no actor, no HTTP.
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "bench/engine_alone.hpp"
#include "runtime/engine/cpu_engine.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>

namespace troupe::bench {
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
    if (auto added = engine.add(make_request(random_prompt(r.prompt_tokens, n_vocab, seed + i), answer)); !added)
      return added.error();
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

result<report> engine(const options& wanted) {
  report all("engine");
  const std::uint32_t repeats = wanted.quick ? 1 : wanted.repeats;

  claim loading{"load_model", "s", {}, 1.0, goal::at_most};
  std::unique_ptr<cpu_engine> loaded;
  for (std::uint32_t i = 0; i < repeats; ++i) {
    loaded.reset();
    const auto start = clock::now();
    auto one = load_engine(wanted.model, wanted.isa, wanted.threads);
    if (!one) return one.error();
    loading.samples.push_back(seconds_since(start));
    loaded = *std::move(one);
  }
  all.add(loading);

  for (const auto& r : rows) {
    if (wanted.quick && !r.quick) continue;
    claim rates{r.name, "tokens/s", {}, std::nullopt, goal::at_least};
    for (std::uint32_t i = 0; i < repeats; ++i) {
      const auto rate = measure(*loaded, r, wanted.decode_tokens, 100 * i + 1);
      if (!rate) return rate.error();
      rates.samples.push_back(*rate);
    }
    all.add(rates);
  }
  all.add({"peak_resident_memory", "MiB", {peak_resident_mib()}, std::nullopt, goal::at_most});
  return all;
}

}  // namespace troupe::bench
