// Llumnix (OSDI 2024), simulated with the shipped actors: 16 instances of a 7B model on A10 with 851 blocks each,
// requests of 128 tokens in and out on average with a heavy tail, against round robin and INFaaS++ (least memory), with
// and without migration; urgent requests beside ordinary ones; and what automatic scaling costs.
#include "bench/benchmarks.hpp"
#include "bench/schedulers/simulated_seeds.hpp"
#include "simulator/cost_models.hpp"
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
  kind.cost = *simulator::find_cost_model("llama-7b-a10");
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

// --- urgent requests -------------------------------------------------------------------------------------------------

struct two_classes {
  double urgent_s = 0;  // end to end, mean
  double ordinary_s = 0;
};

/// 10 % of 26 requests a second are urgent; without headroom nobody knows.
two_classes run_classes(std::uint32_t headroom, bool told, std::size_t requests, std::uint64_t seed) {
  auto asked = make_workload({.rate = 26}, requests, seed);
  random_stream choice(random_bits(seed, 77));
  for (auto& program : asked)
    if (choice.unit() < 0.1) {
      program.kind = "urgent";
      if (told) program.objective.priority = -1;
    }
  setup of = llumnix;
  of.headroom = headroom;
  const auto outcome = simulate(make_cluster(of, seed), asked);
  const auto mean_of = [&](bool urgent) {
    return summarise(asked, outcome, [&](const auto& p) { return (p.kind == "urgent") == urgent; }).e2e.mean_s;
  };
  return {mean_of(true), mean_of(false)};
}

void measure_priorities(report& made, std::uint32_t seeds, std::size_t requests) {
  std::printf("10 %% urgent requests at 26/s\n");
  const auto run_all = [&](std::uint32_t headroom, bool told) {
    return for_seeds(seeds, [&](std::uint64_t seed) { return run_classes(headroom, told, requests, seed); });
  };
  const auto plain = run_all(0, false);
  std::vector<double> best_urgent, best_ordinary;
  for (const std::uint32_t headroom : {0u, 300u, 600u, 700u, 750u, 800u}) {
    const auto all = run_all(headroom, true);
    const auto urgent = ratios(each(plain, &two_classes::urgent_s), each(all, &two_classes::urgent_s));
    const auto ordinary = ratios(each(all, &two_classes::ordinary_s), each(plain, &two_classes::ordinary_s));
    print_row("headroom " + std::to_string(headroom) + ": urgent faster", urgent, "times");
    print_row("headroom " + std::to_string(headroom) + ": ordinary slower", ordinary, "times");
    const bool bearable = simulator::mean(ordinary) <= 1.13;
    if (best_urgent.empty() || (bearable && simulator::mean(urgent) > simulator::mean(best_urgent))) {
      best_urgent = urgent;
      best_ordinary = ordinary;
    }
  }
  made.add({"llumnix_urgent_faster_at_best_headroom", "times", best_urgent, 1.15});
  made.add({"llumnix_ordinary_slower_at_best_headroom", "times", best_ordinary, 1.13, goal::at_most});
}

// --- scaling ---------------------------------------------------------------------------------------------------------

struct scaled {
  double instances = 0;  // at work, mean over the run
  double prefill_p99_s = 0;
};

scaled run_scaling(const setup& of, double up_below, std::size_t requests, std::uint64_t seed) {
  const auto asked = make_workload({.process = simulator::arrival_process::gamma, .rate = 15, .cv = 4}, requests, seed);
  auto options = make_cluster(of, seed, 4);
  options.relocations = of.migrates;
  options.scaling = policies::scaling_settings{
      .min_workers = 1, .max_workers = 16, .scale_up_below = up_below, .scale_down_above = up_below + 50};
  options.start_time = std::chrono::seconds(15);
  const auto outcome = simulate(options, asked);
  const auto summary = summarise(asked, outcome);
  return {summary.instance_seconds / outcome.duration_s, summary.ttft.p99_s};
}

/// Where a line through the points (P99, instances) has so low a P99; beyond its ends, the nearest.
double instances_at(const std::vector<scaled>& points, double p99_s) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto& low = points[i - 1];
    const auto& high = points[i];
    if (high.prefill_p99_s > p99_s) continue;
    if (low.prefill_p99_s <= p99_s) return low.instances;
    const double share = (low.prefill_p99_s - p99_s) / (low.prefill_p99_s - high.prefill_p99_s);
    return low.instances + share * (high.instances - low.instances);
  }
  return points.back().instances;
}

void measure_scaling(report& made, std::uint32_t seeds, std::size_t requests) {
  constexpr double thresholds[] = {5, 10, 20, 40, 80};
  const auto run_all = [&](const setup& of) {
    std::printf("%s, scaled automatically\n", of.name);
    std::vector<scaled> points;
    for (const double up_below : thresholds) {
      const auto all = for_seeds(seeds, [&](std::uint64_t seed) { return run_scaling(of, up_below, requests, seed); });
      const auto instances = each(all, &scaled::instances);
      const auto p99 = each(all, &scaled::prefill_p99_s);
      const std::string at = "up below " + std::to_string(static_cast<int>(up_below)) + ": ";
      print_row(at + "instances", instances, "");
      print_row(at + "prefill latency, P99", p99, "s");
      points.push_back({simulator::mean(instances), simulator::mean(p99)});
    }
    return points;
  };
  const auto theirs = run_all(infaas);
  const auto ours = run_all(llumnix);
  // At the best P99 that both reach.
  const auto best = [](const std::vector<scaled>& points) {
    return std::ranges::min(points, {}, &scaled::prefill_p99_s).prefill_p99_s;
  };
  const double p99_s = std::max(best(theirs), best(ours));
  made.add({"llumnix_instances_at_equal_p99_share_of_infaas",
            "",
            {instances_at(ours, p99_s) / instances_at(theirs, p99_s)},
            0.64,
            goal::at_most});
}

}  // namespace

result<report> llumnix_scheduling(const options& wanted) {
  report made("llumnix");
  const std::uint32_t seeds = wanted.quick ? 2 : 10;
  measure_balance(made, seeds, wanted.quick ? 3'000 : 10'000);
  measure_priorities(made, seeds, wanted.quick ? 3'000 : 6'000);
  measure_scaling(made, seeds, wanted.quick ? 3'000 : 6'000);
  return made;
}

}  // namespace troupe::bench
