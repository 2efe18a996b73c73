// What must hold of every dispatch policy with every local order, on random small clusters with random work: every call
// ends with all its tokens, within what all the work takes one after the other; the same seed gives the same run; no
// instance idles while requests wait; twice as many equal instances are not slower.
#include "base/random.hpp"
#include "policies/batching.hpp"
#include "policies/dispatch.hpp"
#include "sim_seeds.hpp"
#include "simulator/simulated_cluster.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

using namespace troupe;
using namespace troupe::simulator;

namespace {

std::uint32_t between(random_stream& random, std::uint32_t least, std::uint32_t most) {
  return least + static_cast<std::uint32_t>(random.below(most - least + 1));
}

instance_kind random_instances(random_stream& random) {
  instance_kind kind;
  kind.count = between(random, 1, 3);
  const double base_ms = 5 + 20 * random.unit();
  kind.cost = {.prompt = {base_ms, 0.05 + 0.2 * random.unit(), 0},
               .decoding = {base_ms, 0, 0.2 + random.unit()},
               .large = {},
               .large_batch = 0};
  kind.blocks = between(random, 30, 120);
  kind.max_context = 400;
  kind.max_batched_tokens = between(random, 64, 256);
  kind.max_sequences = between(random, 2, 8);
  kind.interleaved_prefill_tokens = between(random, 16, 128);
  kind.prefix_caching = random.below(2) == 0;
  return kind;
}

/// Two kinds of instance at most, a few tenants, rescheduling or not.
simulated_cluster_options random_cluster(random_stream& random) {
  simulated_cluster_options options;
  options.seed = random();
  options.instances = {random_instances(random)};
  if (random.below(2) == 0) options.instances.push_back(random_instances(random));
  options.worker_backlog = between(random, 0, 8);
  options.lengths = static_cast<length_knowledge>(random.below(4));
  options.dispatching.alpha = 0.5 * random.unit();  // beyond, the quickest instance is all that counts
  options.dispatching.cumulative_work = random.below(2) == 0;
  options.dispatching.headroom = between(random, 0, 10);
  if (random.below(2) == 0) options.rescheduling.emplace();
  if (random.below(2) == 0) options.tenant_weights = {{"a", 0.5 + random.unit()}, {"b", 3}};
  return options;
}

workload_call random_call(random_stream& random) {
  workload_call call;
  call.step = "step" + std::to_string(random.below(3));
  call.prompt_tokens = between(random, 1, random.below(5) == 0 ? 250 : 80);
  call.output_tokens = between(random, 1, random.below(5) == 0 ? 60 : 15);
  return call;
}

/// Half of them lone requests, the others programs of a few stages; with and without objectives, in 2 s or at once.
workload random_work(random_stream& random, std::size_t n) {
  workload work(n);
  const std::uint32_t within_ms = random.below(3) == 0 ? 0 : 2000;
  for (auto& program : work) {
    program.arrival = std::chrono::milliseconds(between(random, 0, within_ms));
    const char* const tenants[] = {"", "a", "b"};
    program.tenant = tenants[random.below(3)];
    program.objective.priority = static_cast<std::int32_t>(random.below(3)) - 1;
    if (random.below(2) == 0) program.objective.ttlt = std::chrono::milliseconds(between(random, 1, 5000));
    if (random.below(2) == 0) program.objective.ttft = std::chrono::milliseconds(between(random, 1, 500));
    if (random.below(2) == 0) program.objective.tpot = std::chrono::milliseconds(between(random, 1, 50));
    program.stages.resize(1);
    if (random.below(2) == 0) {
      program.workflow = "flow" + std::to_string(random.below(2));
      program.stages.resize(between(random, 1, 3));
    }
    for (auto& stage : program.stages)
      for (std::uint32_t i = program.workflow.empty() ? 1 : between(random, 1, 3); i > 0; --i)
        stage.push_back(random_call(random));
  }
  std::ranges::stable_sort(work, {}, &workload_program::arrival);
  return work;
}

/// All of it, one call after the other, on the slowest instance.
double serial_s(const simulated_cluster_options& options, const workload& work) {
  double slowest = 0;
  for (const auto& kind : options.instances) {
    double ms = 0;
    for (const auto& program : work)
      for (const auto& stage : program.stages)
        for (const auto& call : stage) {
          // Chunks of what a step takes, then a step a token.
          const double steps = 1 + call.prompt_tokens / kind.interleaved_prefill_tokens + call.output_tokens;
          ms += steps * (kind.cost.prompt.base_ms + kind.cost.decoding.per_sequence_ms) +
                call.prompt_tokens * kind.cost.prompt.per_token_ms;
        }
    slowest = std::max(slowest, ms / 1000);
  }
  return slowest;
}

double mean_e2e_s(const simulation_outcome& outcome) {
  double sum = 0;
  for (const auto& call : outcome.calls)
    sum += call.e2e_s();
  return sum / static_cast<double>(outcome.calls.size());
}

void for_all_policies(const std::function<void(const std::string& dispatch, const std::string& order)>& check) {
  for (const auto& dispatch : policies::dispatch_policy_names())
    for (const auto order : policies::batching_policy_names())
      check(dispatch, std::string(order));
}

}  // namespace

TEST_CASE("every call ends with all its tokens, in bounded time, and alike each time", "[sim][scheduling]") {
  for (std::uint64_t seed = first_seed(); seed <= last_seed(3); ++seed) {
    random_stream random(seed);
    auto options = random_cluster(random);
    const auto work = random_work(random, 40);
    const double bound_s = 2 + serial_s(options, work);
    double longest_s = 0;
    for_all_policies([&](const std::string& dispatch, const std::string& order) {
      CAPTURE(seed, dispatch, order);
      options.dispatch = dispatch;
      options.local_order = order;
      const auto outcome = simulate(options, work);
      std::size_t n_calls = 0;
      for (const auto& program : work)
        for (const auto& stage : program.stages)
          n_calls += stage.size();
      REQUIRE(outcome.calls.size() == n_calls);
      for (const auto& call : outcome.calls) {
        CAPTURE(call.program, call.stage, call.call);
        REQUIRE(call.is_whole());
        REQUIRE(call.n_tokens == work[call.program].stages[call.stage][call.call].output_tokens);
        REQUIRE(call.e2e_s() <= bound_s);
        longest_s = std::max(longest_s, call.e2e_s());
      }
      REQUIRE(simulate(options, work).trace_hash == outcome.trace_hash);
    });
    std::printf("seed %llu: the longest call took %.1f s, all of them one after the other %.1f s\n",
                static_cast<unsigned long long>(seed), longest_s, bound_s);
  }
}

TEST_CASE("no instance idles while requests wait", "[sim][scheduling]") {
  for (std::uint64_t seed = first_seed(); seed <= last_seed(3); ++seed) {
    random_stream random(seed ^ 0x1d1e);
    auto options = random_cluster(random);
    options.worker_backlog = 1;
    // All at once, each alone: whoever waits could be served anywhere.
    workload work = random_work(random, 100);
    std::size_t places = 0;
    for (const auto& kind : options.instances)
      places += std::size_t{kind.count} * (kind.max_sequences + options.worker_backlog);
    for (auto& program : work) {
      program.arrival = duration{0};
      program.workflow.clear();
      program.stages.assign(1, {random_call(random)});
    }
    double least = 1e9;
    for_all_policies([&](const std::string& dispatch, const std::string& order) {
      CAPTURE(seed, dispatch, order);
      options.dispatch = dispatch;
      options.local_order = order;
      const auto outcome = simulate(options, work);
      // Until as many are left as there are places, some request waits for one.
      std::vector<double> ends;
      for (const auto& call : outcome.calls)
        ends.push_back(call.end_s);
      std::ranges::sort(ends);
      REQUIRE(ends.size() > places);
      const double until_s = ends[ends.size() - places - 1];
      for (const auto& instance : outcome.instances) {
        CAPTURE(instance.name, instance.busy_s, until_s);
        CHECK(instance.busy_s >= 0.9 * until_s);
        least = std::min(least, instance.busy_s / until_s);
      }
    });
    std::printf("seed %llu: busy for %.3f of the time at least\n", static_cast<unsigned long long>(seed), least);
  }
}

TEST_CASE("twice as many equal instances are not slower", "[sim][scheduling]") {
  for (std::uint64_t seed = first_seed(); seed <= last_seed(3); ++seed) {
    random_stream random(seed ^ 0xd0b1e);
    auto options = random_cluster(random);
    // Equal ones: who goes by memory alone would rather double up on large slow ones (seed 66, llumnix: 1.26 times).
    options.instances.resize(1);
    const auto work = random_work(random, 40);
    auto doubled = options;
    for (auto& kind : doubled.instances)
      kind.count *= 2;
    double worst = 0;
    std::string where;
    for_all_policies([&](const std::string& dispatch, const std::string& order) {
      CAPTURE(seed, dispatch, order);
      options.dispatch = doubled.dispatch = dispatch;
      options.local_order = doubled.local_order = order;
      const double before = mean_e2e_s(simulate(options, work)), after = mean_e2e_s(simulate(doubled, work));
      CAPTURE(before, after);
      CHECK(after <= 1.1 * before + 0.02);
      if (after / before > worst) worst = after / before, where = dispatch + ", " + order;
    });
    std::printf("seed %llu: at worst %.2f times the mean end-to-end time, with %s\n",
                static_cast<unsigned long long>(seed), worst, where.c_str());
  }
}
