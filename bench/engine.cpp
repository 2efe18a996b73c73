// How fast the engine alone is: no actor, no HTTP.
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "bench/engine_alone.hpp"
#include "bench/machine_limits.hpp"
#include "runtime/engine/cpu_engine.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
constexpr row memory_row{"peak_memory_16_sequences_of_512", true, 448, 16, false};
constexpr row load_row{"load_to_first_token", false, 16, 1, true};
constexpr row rows[] = {
    {"decode_batch1_context16", true, 16, 1, true},
    {"decode_batch1_context2048", true, 2048, 1, false},
    {"decode_batch16_context128", true, 128, 16, false},
    {"decode_batch32_context128", true, 128, 32, false},
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

// What a step has to do at least: read the weights and the K and V of its sequences from memory, and multiply by the
// weights. The time it takes is the longer of the two at the machine's limits.

struct machine_limits {
  double bytes_per_second;
  double operations_per_second;
};

machine_limits measure_limits(const limit_memory& memory, std::uint32_t threads, std::string_view isa) {
  std::vector<double> bandwidths;
  std::vector<double> peaks;
  for (int i = 0; i < 5; ++i) {
    bandwidths.push_back(read_bandwidth(memory, threads));
    peaks.push_back(byte_product_peak(threads, isa));
  }
  return {median(bandwidths) * 1e9, median(peaks) * 1e9};
}

/// Multiply-adds of one token in all layers, attention left out.
double layer_products(const model_config& c) {
  const double attention = 1.0 * c.n_embd * (2.0 * c.q_dim() + 2.0 * c.kv_dim());
  return c.n_layers * (attention + 3.0 * c.n_embd * c.n_ff);
}

/// Tokens a second that the machine's limits allow in this row.
double bound_of(const row& r, const cpu_engine& engine, std::uint32_t decode_tokens, const machine_limits& limits) {
  const model_config& c = engine.config();
  const auto weights = static_cast<double>(engine.weight_bytes());
  const double kv_of_token = 2.0 * c.n_layers * c.kv_dim() * sizeof(std::uint16_t);
  const double logits = 1.0 * c.n_embd * c.n_vocab;
  const auto seconds = [&](double bytes, double products) {
    return std::max(bytes / limits.bytes_per_second, 2 * products / limits.operations_per_second);
  };
  if (!r.decode) return r.prompt_tokens / seconds(weights, r.prompt_tokens * layer_products(c) + logits);
  const double context = r.prompt_tokens + decode_tokens / 2.0;  // the mean over the answer
  return r.sequences /
         seconds(weights + r.sequences * context * kv_of_token, r.sequences * (layer_products(c) + logits));
}

/// From the file to the first token of a short prompt.
result<double> seconds_to_first_token(const options& wanted) {
  const auto start = clock::now();
  auto loaded = load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!loaded) return loaded.error();
  if (auto rate = measure(**loaded, load_row, 0, 1); !rate) return rate.error();
  return seconds_since(start);
}

/// MiB at most in memory with 16 sequences of 512 tokens. First of all, since a peak stays. The engine is gone
/// afterwards: what loads next finds its memory warm, as llama.cpp's load in bench/vs_llama_cpp.py does.
result<claim> memory_claim(const options& wanted) {
  const auto loaded = load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!loaded) return loaded.error();
  if (auto rate = measure(**loaded, memory_row, 64, 1); !rate) return rate.error();
  const model_config& c = (*loaded)->config();
  const double kv = 16.0 * 512 * 2 * c.n_layers * c.kv_dim() * sizeof(std::uint16_t);
  const double needed = (static_cast<double>((*loaded)->weight_bytes()) + kv) / (1 << 20);
  return claim{memory_row.name, "MiB", {peak_resident_mib()}, needed + 100, goal::at_most, needed};
}

}  // namespace

result<report> engine(const options& wanted) {
  report all("engine");
  const std::uint32_t repeats = wanted.quick ? 1 : wanted.repeats;
  const auto is_wanted = [&](const row& r) {
    return (r.quick || !wanted.quick) && std::string_view(r.name).find(wanted.only) != std::string_view::npos;
  };

  if (is_wanted(memory_row)) {
    const auto memory = memory_claim(wanted);
    if (!memory) return memory.error();
    all.add(*memory);
  }
  if (is_wanted(load_row)) {
    claim loading{load_row.name, "s", {}, 0.3, goal::at_most};
    for (std::uint32_t i = 0; i < repeats; ++i) {
      const auto seconds = seconds_to_first_token(wanted);
      if (!seconds) return seconds.error();
      loading.samples.push_back(*seconds);
    }
    all.add(loading);
  }
  auto loaded = load_engine(wanted.model, wanted.isa, wanted.threads);
  if (!loaded) return loaded.error();

  std::optional<machine_limits> limits;
  if (wanted.roofline) {
    const std::uint32_t threads = (*loaded)->n_threads();
    limits = measure_limits(limit_memory(std::size_t{128} << 20), threads, (*loaded)->table().isa);
    all.add({"limit: reading memory", "GB/s", {limits->bytes_per_second / 1e9}, {}});
    all.add({"limit: 8-bit products", "Gop/s", {limits->operations_per_second / 1e9}, {}});
  }
  for (const auto& r : rows) {
    if (!is_wanted(r)) continue;
    claim rates{r.name, "tokens/s", {}, std::nullopt, goal::at_least};
    if (limits) rates.bound = bound_of(r, **loaded, wanted.decode_tokens, *limits);
    for (std::uint32_t i = 0; i < repeats; ++i) {
      const auto rate = measure(**loaded, r, wanted.decode_tokens, 100 * i + 1);
      if (!rate) return rate.error();
      rates.samples.push_back(*rate);
    }
    all.add(rates);
  }
  return all;
}

}  // namespace troupe::bench
