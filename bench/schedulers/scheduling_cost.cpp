// What scheduling costs: a decision of each dispatch policy among 256 instances, a pass of each local order over 1,000
// waiting sequences, and submits a second through the scheduler actor, with 10,000 requests in its queue and without.
#include "actors/cast_system.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "base/random.hpp"
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "policies/batching.hpp"
#include "policies/dispatch.hpp"
#include "simulator/summary.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

constexpr std::uint32_t n_workers = 256;

std::vector<policies::dispatch_worker> make_workers(random_stream& random) {
  std::vector<policies::dispatch_worker> workers(n_workers);
  for (std::uint32_t i = 0; i < n_workers; ++i) {
    auto& worker = workers[i];
    worker.id = worker_id{i};
    worker.max_requests = 64;
    worker.requests = static_cast<std::uint32_t>(random.below(64));
    worker.sequences_running = worker.requests;
    worker.blocks_total = 1000;
    worker.blocks_used = static_cast<std::uint32_t>(random.below(1000));
    worker.tokens_to_compute = static_cast<std::uint32_t>(random.below(5000));
    worker.token_s = 1e-4 * (1 + random.unit());
    worker.step_s = 1e-2 * (1 + random.unit());
    worker.work_s = 10 * random.unit();
  }
  return workers;
}

void measure_decisions(report& made, std::uint32_t rounds) {
  random_stream random(1);
  const auto workers = make_workers(random);
  for (const auto& name : policies::dispatch_policy_names()) {
    const auto policy = *policies::make_dispatch_policy(name);
    std::vector<double> us;
    for (std::uint32_t i = 0; i < rounds; ++i) {
      const policies::dispatch_request request{static_cast<std::uint32_t>(random.below(2000)), 200, 0};
      const auto start = clock::now();
      const auto chosen = policy->choose(request, workers, i);
      us.push_back(1e6 * seconds_since(start));
      if (!chosen) std::abort();
    }
    made.add({"decision_p99_of_256_workers_" + name, "us", {simulator::percentile(us, 0.99)}, 100.0, goal::at_most});
  }
}

void measure_passes(report& made, std::uint32_t rounds) {
  random_stream random(2);
  std::vector<policies::batch_sequence> sequences(1064);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    auto& s = sequences[i];
    s.id = sequence_id{i + 1};
    s.n_prompt = static_cast<std::uint32_t>(1 + random.below(500));
    s.admitted = i < 64;
    s.n_known = s.n_prompt + (s.admitted ? 10 : 0);
    s.n_computed = s.admitted ? s.n_known - 1 : 0;
    s.n_blocks = (s.n_computed + 15) / 16;
    s.predicted_left = static_cast<std::uint32_t>(1 + random.below(500));
    s.objective.done_by = time_point(std::chrono::milliseconds(1000 + random.below(20'000)));
    s.running = s.admitted;
  }
  const policies::batch_limits limits{
      .blocks_free = 1000, .max_sequences = 64, .max_running = 32, .now = time_point(std::chrono::seconds(1))};
  for (const auto name : policies::batching_policy_names()) {
    const auto policy = *policies::make_batching_policy(name);
    std::vector<double> us;
    for (std::uint32_t i = 0; i < rounds; ++i) {
      const auto start = clock::now();
      const auto plan = policy->plan(sequences, limits);
      us.push_back(1e6 * seconds_since(start));
      if (plan.grants.empty()) std::abort();
    }
    made.add({"pass_p99_over_1000_waiting_" + std::string(name),
              "us",
              {simulator::percentile(us, 0.99)},
              1000.0,
              goal::at_most});
  }
}

/// The scheduler actor with 256 workers that take what they are given, fed by this thread.
class fed_scheduler {
 public:
  fed_scheduler(std::uint32_t room, const std::string& dispatch) : cast_(cast_system::make_local()) {
    auto& system = cast_->system();
    scheduler_config config;
    config.dispatch = *policies::make_dispatch_policy(dispatch);
    config.queue_capacity = 1'000'000;
    scheduler_ = system.spawn(scheduler_actor, config);
    // Workers and the gateway do nothing about what they get.
    const auto drop = [](caf::event_based_actor*) -> caf::behavior {
      return {[](const assign_request&, const caf::actor&) {}, [](const request_ended&) {}, [](const request_lost&) {},
              [](relocate_some, const caf::actor&) {}};
    };
    gateway_ = system.spawn(drop);
    for (std::uint32_t i = 1; i <= n_workers; ++i) {
      const auto worker = system.spawn(drop);
      caf::anon_send(scheduler_, worker_started{worker_id{i}, worker_role::both}, worker);
      load_report report;
      report.worker = worker_id{i};
      report.max_sequences = room;
      report.blocks_total = 1000;
      caf::anon_send(scheduler_, report);
      workers_.push_back(worker);
    }
  }

  ~fed_scheduler() {
    caf::anon_send_exit(scheduler_, caf::exit_reason::kill);  // first, so that it does not see the others go
    for (const auto& worker : workers_)
      caf::anon_send_exit(worker, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(gateway_, caf::exit_reason::user_shutdown);
    workers_.clear();
    gateway_ = scheduler_ = caf::actor{};
  }

  void submit(std::uint32_t n) {
    const auto from = caf::actor_cast<caf::strong_actor_ptr>(gateway_);
    for (std::uint32_t i = 0; i < n; ++i) {
      submit_request submitted;
      submitted.request.id = request_id{++last_id_};
      submitted.request.prompt.assign(64, 7);
      submitted.request.sampling.max_tokens = 100;
      submitted.epoch = first_epoch();
      caf::actor_cast<caf::abstract_actor*>(scheduler_)
          ->enqueue(from, caf::make_message_id(), caf::make_message(std::move(submitted)), nullptr);
    }
  }

  /// Until it has done all that was sent before. True when it has as many requests as were submitted.
  bool wait() {
    caf::scoped_actor self(cast_->system());
    std::size_t known = 0;
    self->request(scheduler_, caf::infinite, ask_requests{})
        .receive([&](const requests_status& status) { known = status.requests.size(); }, [](caf::error&) {});
    return known == last_id_;
  }

  void report_load(std::uint32_t worker) {
    load_report report;
    report.worker = worker_id{worker};
    report.blocks_total = 1000;
    caf::anon_send(scheduler_, report);
  }

 private:
  std::unique_ptr<cast_system> cast_;
  caf::actor scheduler_, gateway_;
  std::vector<caf::actor> workers_;
  std::uint64_t last_id_ = 0;
};

/// Work done a second while n messages are sent and taken.
double rate_of(fed_scheduler& scheduler, std::uint32_t n, const std::function<void()>& send) {
  const auto start = clock::now();
  send();
  if (!scheduler.wait()) std::abort();
  return n / seconds_since(start);
}

void measure_submits(report& made, std::uint32_t repeats, bool quick) {
  const std::uint32_t n = quick ? 5'000 : 20'000;
  std::vector<double> dispatched, queued, reports_us;
  for (std::uint32_t repeat = 0; repeat < repeats; ++repeat) {
    fed_scheduler with_room(1'000'000, "llumnix");
    with_room.wait();
    dispatched.push_back(rate_of(with_room, n, [&] { with_room.submit(n); }));

    fed_scheduler full(0, "llumnix");  // only its backlog of 16 a worker
    full.submit(n_workers * 16 + 10'000);
    full.wait();
    queued.push_back(rate_of(full, n, [&] { full.submit(n); }));
    constexpr std::uint32_t n_reports = 2'000;
    const double reports = rate_of(full, n_reports, [&] {
      for (std::uint32_t i = 0; i < n_reports; ++i)
        full.report_load(1 + i % n_workers);
    });
    reports_us.push_back(1e6 / reports);
  }
  made.add({"submits_dispatched_to_256_workers", "1/s", dispatched, 20'000.0});
  made.add({"submits_queued_behind_10000", "1/s", queued, 20'000.0});
  made.add({"report_of_a_worker_with_10000_queued", "us", reports_us, 100.0, goal::at_most});
}

}  // namespace

result<report> scheduling_cost(const options& wanted) {
  report made("scheduling");
  measure_decisions(made, wanted.quick ? 1'000 : 10'000);
  measure_passes(made, wanted.quick ? 200 : 2'000);
  measure_submits(made, wanted.quick ? 1 : wanted.repeats, wanted.quick);
  return made;
}

}  // namespace troupe::bench
