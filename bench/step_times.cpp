#include "bench/step_times.hpp"

#include "base/random.hpp"
#include "bench/engine_alone.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include <time.h>

namespace troupe::bench {
namespace {

/// The sequences of one recipe in an engine; gone with it.
class prepared_step {
 public:
  explicit prepared_step(cpu_engine& engine) : engine_(engine) {}
  ~prepared_step() {
    for (const auto id : added_)
      engine_.remove(id);
  }
  prepared_step(const prepared_step&) = delete;
  prepared_step& operator=(const prepared_step&) = delete;

  /// A sequence of which `computed` tokens are computed, so that the step computes n more.
  result<> add(std::uint32_t n_prompt, std::uint32_t computed, std::uint32_t n, std::uint32_t answer) {
    static std::atomic<std::uint64_t> seed{1};
    auto id = engine_.add(make_request(random_prompt(n_prompt, engine_.config().n_vocab, seed++), answer));
    if (!id) return id.error();
    added_.push_back(*id);
    const std::uint32_t most = engine_.status().max_batched_tokens;
    for (std::uint32_t left = computed; left > 0; left -= std::min(left, most))
      engine_.step({{}, {{*id, std::min(left, most)}}});
    plan_.grants.push_back({*id, n});
    return {};
  }
  const step_plan& plan() const { return plan_; }

 private:
  cpu_engine& engine_;
  std::vector<sequence_id> added_;
  step_plan plan_;
};

double now_ms(step_clock by) {
  timespec now{};
  clock_gettime(by == step_clock::wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  random_stream random(seed);
  for (std::size_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace

step_recipe whole_prompt(std::uint32_t n_tokens) {
  return {{{0, n_tokens}}, {}};
}

step_recipe decoding_batch(std::uint32_t n_sequences, std::uint32_t context) {
  return {{}, std::vector<std::uint32_t>(n_sequences, context)};
}

result<std::vector<policies::step_sample>> time_step(cpu_engine& engine, const step_recipe& recipe,
                                                     std::uint32_t repeats, step_clock by) {
  std::vector<policies::step_sample> samples;
  prepared_step streams(engine);
  for (const auto context : recipe.contexts)
    if (auto added = streams.add(context, context, 1, repeats + 2); !added) return added.error();
  for (std::uint32_t i = 0; i < repeats; ++i) {
    prepared_step prompts(engine);
    for (const auto& chunk : recipe.chunks)
      if (auto added = prompts.add(chunk.end, chunk.begin, chunk.end - chunk.begin, 2); !added) return added.error();
    step_plan plan = streams.plan();
    plan.grants.insert(plan.grants.end(), prompts.plan().grants.begin(), prompts.plan().grants.end());
    policies::step_sample sample;
    for (const auto context : recipe.contexts)
      sample.shape.add_decoding(context + 1 + i);
    for (const auto& chunk : recipe.chunks)
      sample.shape.add_prompt(chunk.begin, chunk.end);
    const double began = now_ms(by);
    engine.step(plan);
    sample.time_ms = now_ms(by) - began;
    samples.push_back(sample);
  }
  return samples;
}

result<std::vector<policies::step_sample>> time_steps_together(std::span<cpu_engine* const> engines,
                                                               std::span<const step_recipe> recipes,
                                                               std::uint32_t repeats) {
  std::vector<std::vector<policies::step_sample>> samples(engines.size());
  std::vector<std::optional<error>> failures(engines.size());
  std::atomic<std::size_t> n_busy{engines.size()};
  const auto measure = [&](std::size_t e) {
    for (std::uint64_t round = 0; n_busy > 0; ++round) {
      for (const auto i : shuffled(recipes.size(), random_bits(e, round))) {
        auto taken = time_step(*engines[e], recipes[i], repeats, step_clock::thread);
        if (!taken) failures[e] = taken.error();
        if (!taken || (round > 0 && n_busy == 0)) break;
        if (round == 0) samples[e].insert(samples[e].end(), taken->begin(), taken->end());
      }
      if (round == 0) --n_busy;
      if (failures[e]) return;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t e = 0; e < engines.size(); ++e)
    threads.emplace_back(measure, e);
  threads.clear();
  std::vector<policies::step_sample> all;
  for (std::size_t e = 0; e < engines.size(); ++e) {
    if (failures[e]) return *failures[e];
    all.insert(all.end(), samples[e].begin(), samples[e].end());
  }
  return all;
}

}  // namespace troupe::bench
