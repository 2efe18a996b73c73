// The simulator against what it stands for: a head and two workers on loopback, one computing thread each, and the same
// requests through `simulate` with the cost of a step and of the actors' way as measured here. Others' programs spoil
// a live run: it waits for a quiet machine, and a run in which they had more than a little is made again.
#include "bench/benchmarks.hpp"
#include "bench/engine_alone.hpp"
#include "bench/foreign_load.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "bench/small_cluster.hpp"
#include "bench/step_times.hpp"
#include "policies/catalogue.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/workload_generator.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace troupe::bench {
namespace {

using policies::step_cost;
using policies::step_sample;

constexpr std::uint32_t max_sequences = 16;
constexpr double load = 0.55;               // of what the cluster can serve
constexpr double foreign_processors = 0.1;  // that others may use beside a live run
constexpr char dispatch[] = "least_loaded";
constexpr char order[] = "fcfs";

// --- what a step costs

std::vector<step_recipe> recipes_of_serving() {
  std::vector<step_recipe> all;
  for (const std::uint32_t n : {1u, 4u, 8u, 16u, 32u, 64u, 96u, 128u, 192u, 256u})
    all.push_back(whole_prompt(n));
  for (const auto& chunk : {step_recipe::chunk{128, 136}, {128, 160}, {128, 224}})
    all.push_back({{chunk}, {}});
  for (const std::uint32_t context : {64u, 160u})
    for (const std::uint32_t n : {1u, 2u, 3u, 4u, 5u, 6u, 8u, 12u})
      all.push_back(decoding_batch(n, context));
  for (const std::uint32_t n : {1u, 3u, 6u})
    for (const auto& chunk : {step_recipe::chunk{0, 32}, {0, 64}, {0, 96}, {128, 144}}) {
      auto mixed = decoding_batch(n, 96);
      mixed.chunks = {chunk};
      all.push_back(mixed);
    }
  return all;
}

/// With the batch from which decoding has coefficients of its own (where a step no longer only waits for memory) that
/// fits best.
result<policies::step_cost_fit> fit(const std::vector<step_sample>& samples) {
  auto best = policies::fit_step_cost(samples);
  if (!best) return best.error();
  for (const std::uint32_t large : {3u, 4u, 5u, 6u})
    if (const auto other = policies::fit_step_cost(samples, large); other && other->p90_error < best->p90_error)
      best = other;
  return best;
}

void print_cost(const char* name, const policies::step_cost_fit& of) {
  const auto& [prompt, decoding, large, large_batch] = of.cost;
  std::printf("%s: ms of prompts %.2f + %.4f n + %.2g n^2; of decoding %.2f + %.5f context + %.3f sequences", name,
              prompt.base_ms, prompt.per_token_ms, prompt.per_token_squared_ms, decoding.base_ms,
              decoding.per_context_ms, decoding.per_sequence_ms);
  if (large_batch > 0)
    std::printf(", from %u on %.2f + %.5f context + %.3f sequences", large_batch, large.base_ms, large.per_context_ms,
                large.per_sequence_ms);
  std::printf("; off by %.1f %% (median), %.1f %% (P90)\n", 100 * of.median_error, 100 * of.p90_error);
}

/// Of steps of a single token: of a prompt that has no more, and of an answer.
struct lone_steps {
  double first_ms = 0;
  double next_ms = 0;
};

struct engine_times {
  policies::step_cost_fit fit;
  lone_steps lone;
  std::uint32_t attention_context = 0;
};

result<engine_times> measure_engine(report& made, const options& wanted) {
  auto one = load_engine(wanted.model, wanted.isa, 1);
  if (!one) return one.error();
  auto two = load_engine(wanted.model, wanted.isa, 1);
  if (!two) return two.error();
  cpu_engine* const engines[] = {one->get(), two->get()};
  const auto recipes = recipes_of_serving();
  engine_times times;
  times.attention_context = (*one)->status().attention_context;
  for (const std::size_t n : {1, 2}) {
    const auto samples = time_steps_together(std::span(engines).first(n), recipes, wanted.quick ? 2 : 4);
    if (!samples) return samples.error();
    const auto fitted = fit(*samples);
    if (!fitted) return fitted.error();
    print_cost(n == 1 ? "one engine alone" : "two engines at once", *fitted);
    times.fit = *fitted;
  }
  const auto lone = [&](const step_recipe& recipe) -> result<double> {
    const auto samples = time_step(**one, recipe, 50, step_clock::thread);
    if (!samples) return samples.error();
    return median(each(*samples, &step_sample::time_ms));
  };
  const auto first = lone(whole_prompt(1));
  if (!first) return first.error();
  const auto next = lone(decoding_batch(1, 4));
  if (!next) return next.error();
  times.lone = {*first, *next};
  made.add({"step_cost_fit_median_error", "%", {100 * times.fit.median_error}, 10, goal::at_most});
  made.add({"step_cost_fit_p90_error", "%", {100 * times.fit.p90_error}, {}, goal::at_most});
  return times;
}

// --- what the actors' way costs, measured with nobody else in the cluster

struct way_cost {
  double path_ms = 0;  // of a request to a worker and of its first token back
  double step_ms = 0;  // that a step is longer than the engine's part of it
};

result<way_cost> measure_way(small_cluster& cluster, const lone_steps& lone) {
  (void)wait_for_quiet(foreign_processors, std::chrono::seconds(60));
  std::vector<double> first_ms, next_ms;
  for (int i = 0; i < 40; ++i) {
    request_id id;
    const auto began = clock::now();
    const auto stream = cluster.begin(1, 12, id);
    if (!stream->wait_for_tokens(12)) return make_error(errc::internal, "A lone request does not end.");
    const auto times = stream->times();
    first_ms.push_back(milliseconds(times.front() - began));
    next_ms.push_back(median(gaps(times, 2)));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  // The quartile, for those that nobody else disturbed.
  const way_cost cost{std::max(0.0, simulator::percentile(first_ms, 0.25) - lone.first_ms),
                      std::max(0.0, simulator::percentile(next_ms, 0.25) - lone.next_ms)};
  std::printf("the actors' way: %.3f ms there and back, %.3f ms a step\n", cost.path_ms, cost.step_ms);
  return cost;
}

// --- the same requests, live and simulated

struct latencies {
  std::vector<double> ttft_s, tpot_s;
};

simulator::workload make_workload(double rate, std::size_t n, std::uint64_t seed) {
  const auto lognormal = [](double median_tokens, double sigma) {
    return simulator::lengths{.shape = simulator::length_shape::lognormal, .tokens = median_tokens, .sigma = sigma};
  };
  return simulator::make_requests({.rate = rate}, lognormal(95, 0.35), lognormal(42, 0.27), n, seed);
}

result<latencies> run_live(small_cluster& cluster, const simulator::workload& asked) {
  std::vector<std::shared_ptr<timed_stream>> streams;
  std::vector<clock::time_point> sent;
  const auto begin = clock::now() + std::chrono::milliseconds(50);
  for (const auto& program : asked) {
    const auto& call = program.stages.front().front();
    std::this_thread::sleep_until(begin + program.arrival);
    request_id id;
    sent.push_back(clock::now());
    streams.push_back(cluster.begin(call.prompt_tokens, call.output_tokens, id));
  }
  latencies all;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::uint32_t n = asked[i].stages.front().front().output_tokens;
    if (!streams[i]->wait_for_tokens(n)) return make_error(errc::internal, "A live request did not end.");
    const auto times = streams[i]->times();
    all.ttft_s.push_back(1e-3 * milliseconds(times.front() - sent[i]));
    if (n > 1) all.tpot_s.push_back(1e-3 * milliseconds(times.back() - times.front()) / (n - 1));
  }
  return all;
}

simulator::simulated_cluster_options make_simulated(const engine_times& engine, const way_cost& way,
                                                    std::uint32_t blocks) {
  simulator::simulated_cluster_options made;
  simulator::instance_kind kind;
  kind.count = 2;
  kind.cost = engine.fit.cost;
  for (double* base : {&kind.cost.prompt.base_ms, &kind.cost.decoding.base_ms, &kind.cost.large.base_ms})
    *base += way.step_ms;
  kind.blocks = blocks;
  kind.max_context = 8192;
  kind.max_sequences = max_sequences;
  kind.max_batched_tokens = worker_options{}.max_num_batched_tokens;
  kind.interleaved_prefill_tokens = worker_options{}.interleaved_prefill_tokens;
  kind.attention_context = engine.attention_context;
  made.instances = {kind};
  made.network.latency =
      std::chrono::duration_cast<duration>(std::chrono::duration<double, std::milli>(way.path_ms / 2));
  made.dispatch = dispatch;
  made.local_order = order;
  made.worker_backlog = policies::suitable_backlog(order, dispatch);
  made.lengths = simulator::length_knowledge::exact;
  return made;
}

latencies run_simulated(const simulator::simulated_cluster_options& cluster, const simulator::workload& asked) {
  latencies all;
  for (const auto& call : simulate(cluster, asked).calls) {
    all.ttft_s.push_back(call.ttft_s());
    if (call.n_tokens > 1) all.tpot_s.push_back(call.tpot_s());
  }
  return all;
}

/// Requests a second that the cluster ends when it always has enough to do.
double find_saturation(const simulator::simulated_cluster_options& cluster) {
  constexpr std::size_t n = 500;
  return static_cast<double>(n) / simulate(cluster, make_workload(1000, n, 99)).duration_s;
}

struct run_pair {
  latencies live, simulated;
  double others = 0;  // processors that other programs used meanwhile
};

/// The quietest of a few tries.
result<run_pair> run_both(const options& wanted, const simulator::simulated_cluster_options& cluster, double rate,
                          std::uint64_t seed) {
  const auto asked = make_workload(rate, wanted.quick ? 150 : 500, seed);
  std::optional<run_pair> best;
  for (int i = 0; i < 3 && (!best || best->others > foreign_processors); ++i) {
    (void)wait_for_quiet(foreign_processors, std::chrono::seconds(60));
    auto running =
        small_cluster::start(wanted, {.dispatch = dispatch, .scheduler = order, .max_num_seqs = max_sequences});
    if (!running) return running.error();
    const foreign_load others;
    auto live = run_live(**running, asked);
    if (!live) return live.error();
    const double used = others.processors();
    std::printf("seed %llu: others used %.2f processors\n", static_cast<unsigned long long>(seed), used);
    if (!best || used < best->others) best = {*std::move(live), {}, used};
  }
  best->simulated = run_simulated(cluster, asked);
  return *std::move(best);
}

void compare(report& made, const std::string& what, const std::vector<run_pair>& runs,
             std::vector<double> latencies::*of) {
  for (const int p : {50, 90, 99}) {
    std::vector<double> live_ms, simulated_ms, off;
    for (const auto& run : runs) {
      live_ms.push_back(1e3 * simulator::percentile(run.live.*of, p / 100.0));
      simulated_ms.push_back(1e3 * simulator::percentile(run.simulated.*of, p / 100.0));
      off.push_back(std::abs(simulated_ms.back() / live_ms.back() - 1));
      std::printf("  %s p%d: live %.2f ms, simulated %.2f ms\n", what.c_str(), p, live_ms.back(), simulated_ms.back());
    }
    const std::string name = what + "_p" + std::to_string(p);
    made.add({"live_" + name, "ms", live_ms, {}, goal::at_most, {}, "simulated", simulated_ms});
    made.add({"simulated_" + name + "_off_by", "share", off, 0.10, goal::at_most});
  }
}

}  // namespace

result<report> simulation(const options& wanted) {
  report made("simulation");
  const auto engine = measure_engine(made, wanted);
  if (!engine) return engine.error();
  simulator::simulated_cluster_options cluster;
  {
    auto idle = small_cluster::start(wanted, {.dispatch = dispatch, .scheduler = order, .max_num_seqs = max_sequences});
    if (!idle) return idle.error();
    const auto way = measure_way(**idle, engine->lone);
    if (!way) return way.error();
    cluster = make_simulated(*engine, *way, static_cast<std::uint32_t>((*idle)->status().kv_blocks_total / 2));
  }
  const double rate = load * find_saturation(cluster);
  std::printf("%.2f requests/s, %.2f of what it can serve\n", rate, load);
  std::vector<run_pair> runs;
  for (std::uint64_t seed = 1; seed <= (wanted.quick ? 1 : wanted.repeats); ++seed) {
    auto run = run_both(wanted, cluster, rate, seed);
    if (!run) return run.error();
    runs.push_back(*std::move(run));
  }
  made.add({"other_programs_beside_live_runs", "processors", each(runs, &run_pair::others), foreign_processors,
            goal::at_most});
  compare(made, "ttft", runs, &latencies::ttft_s);
  compare(made, "tpot", runs, &latencies::tpot_s);
  return made;
}

}  // namespace troupe::bench
