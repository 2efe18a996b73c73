// Llumnix (OSDI 2024), simulated with the shipped actors: 16 instances of a 7B model on A10 with 851 blocks each,
// requests of 128 tokens in and out on average with a heavy tail, against round robin and INFaaS++ (least memory), with
// and without migration; urgent requests beside ordinary ones; and what automatic scaling costs.
#include "bench/benchmarks.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "simulator/simulated_cluster.hpp"
#include "simulator/workload_generator.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

using simulator::outcome_summary;
using simulator::simulated_cluster_options;
using simulator::workload;

// A decode step takes 24 ms alone and 2.6 times that with 8,000 tokens of context, as the paper's figure 4 has it.
constexpr policies::step_cost llama_7b_on_a10{
    .prompt = {22, 0.22, 1.5e-6}, .decoding = {24, 0.004, 0.1}, .large = {}, .large_batch = 0};
constexpr double kv_bytes_of_7b = 32.0 * 2 * 4096 * 2;  // a token, in f16

struct setup {
  const char* name;
  const char* dispatch;
  bool migrates = false;
  std::uint32_t headroom = 0;
};
constexpr setup round_robin{"round robin", "round_robin"};
constexpr setup infaas{"INFaaS++ (least memory)", "least_memory"};
constexpr setup dispatch_only{"Llumnix without migration", "llumnix"};
constexpr setup llumnix{"Llumnix", "llumnix", true};

simulated_cluster_options make_cluster(const setup& of, std::uint64_t seed, std::uint32_t instances = 16) {
  simulated_cluster_options made;
  made.seed = seed;
  simulator::instance_kind kind;
  kind.name = "a10";
  kind.count = instances;
  kind.cost = llama_7b_on_a10;
  kind.blocks = 851;
  kind.max_context = 16'384;
  made.instances = {kind};
  made.kv_bytes_per_token = kv_bytes_of_7b;
  made.network.bytes_per_second = 8e9;  // 64 Gb/s
  made.local_order = "prefill_first";   // vLLM's
  made.dispatch = of.dispatch;
  made.dispatching.headroom = of.headroom;
  made.worker_backlog = 1'000'000;  // whoever is dispatched waits at its instance
  made.lengths = simulator::length_knowledge::none;
  if (of.migrates) made.rescheduling = policies::rescheduling_settings{.headroom = of.headroom};
  return made;
}

workload make_workload(const simulator::arrivals& coming, std::size_t n, std::uint64_t seed) {
  const simulator::lengths lengths{.shape = simulator::length_shape::zipf, .tokens = 128, .exponent = 2.0};
  return simulator::make_requests(coming, lengths, lengths, n, seed);
}

std::vector<outcome_summary> run(const setup& of, std::uint32_t seeds, std::size_t requests) {
  auto all = for_seeds(seeds, [&](std::uint64_t seed) {
    const auto asked = make_workload({.rate = 36}, requests, seed);
    return summarise(asked, simulate(make_cluster(of, seed), asked));
  });
  std::printf("%s\n", of.name);
  print_row("prefill latency, mean", each(all, [](const auto& s) { return s.ttft.mean_s; }), "s");
  print_row("prefill latency, P99", each(all, [](const auto& s) { return s.ttft.p99_s; }), "s");
  print_row("end to end, mean", each(all, [](const auto& s) { return s.e2e.mean_s; }), "s");
  print_row("decode latency, P99", each(all, [](const auto& s) { return 1e3 * s.tpot.p99_s; }), "ms a token");
  print_row("preemption loss", each(all, [](const auto& s) { return 1e3 * s.preemption_loss_s; }), "ms a request");
  print_row("requests moved", each(all, &outcome_summary::moved), "");
  return all;
}

void measure_balance(report& made, std::uint32_t seeds, std::size_t requests) {
  const auto rr = run(round_robin, seeds, requests);
  const auto least = run(infaas, seeds, requests);
  const auto placed = run(dispatch_only, seeds, requests);
  const auto full = run(llumnix, seeds, requests);
  const auto ttft = [](const outcome_summary& s) { return s.ttft.mean_s; };
  const auto ttft_p99 = [](const outcome_summary& s) { return s.ttft.p99_s; };
  const auto e2e = [](const outcome_summary& s) { return s.e2e.mean_s; };
  const auto decode = [](const outcome_summary& s) { return s.tpot.p99_s; };
  // Of all seeds together: some lose nothing at all.
  const auto loss = [](const std::vector<outcome_summary>& all) {
    return simulator::mean(each(all, &outcome_summary::preemption_loss_s));
  };
  made.add({"llumnix_prefill_mean_vs_round_robin", "times", ratios(each(rr, ttft), each(full, ttft)), 10.0});
  made.add({"llumnix_prefill_p99_vs_round_robin", "times", ratios(each(rr, ttft_p99), each(full, ttft_p99)), {}});
  made.add({"llumnix_e2e_mean_vs_round_robin", "times", ratios(each(rr, e2e), each(full, e2e)), 1.5});
  made.add({"llumnix_decode_p99_vs_infaas", "times", ratios(each(least, decode), each(full, decode)), 1.15});
  made.add({"llumnix_e2e_mean_share_of_infaas", "", ratios(each(full, e2e), each(least, e2e)), 1.0, goal::at_most});
  made.add({"llumnix_prefill_p99_vs_infaas", "times", ratios(each(least, ttft_p99), each(full, ttft_p99)), {}});
  made.add({"llumnix_preemption_loss_share_of_infaas", "", {loss(full) / loss(least)}, 0.3, goal::at_most});
  made.add({"llumnix_preemption_loss_share_of_dispatch_only", "", {loss(full) / loss(placed)}, 0.3, goal::at_most});
}

}  // namespace

result<report> llumnix_scheduling(const options& wanted) {
  report made("llumnix");
  const std::uint32_t seeds = wanted.quick ? 2 : 10;
  measure_balance(made, seeds, wanted.quick ? 3'000 : 10'000);
  return made;
}

}  // namespace troupe::bench
