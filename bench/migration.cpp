// How long a stream stands still while its request moves to another worker, for short and long sequences: live
// migration against the naive way (stop, copy, go on) and against computing everything anew; and what a hand-off after
// prefill adds. A head and two workers on loopback, one computing thread each, in one process.
#include "actors/cluster_client.hpp"
#include "actors/node.hpp"
#include "actors/worker_node.hpp"
#include "base/random.hpp"
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace troupe::bench {
namespace {

constexpr std::chrono::seconds patience{60};

/// Keeps when each token came.
class timed_stream final : public generation_observer {
 public:
  void on_prompt_logprobs(std::span<const prompt_token_logprob>) override {}
  void on_tokens(std::span<const generated_token> tokens) override {
    std::lock_guard lock(mutex_);
    // Guessed tokens come together; what a reader waits for is the group.
    times_.push_back(clock::now());
    n_tokens_ += tokens.size();
    changed_.notify_all();
  }
  void on_end(finish_reason, const token_usage&, const std::optional<error>& failure) override {
    std::lock_guard lock(mutex_);
    ended_ = true;
    failed_ = failure.has_value();
    changed_.notify_all();
  }

  /// False when it ended before, or not in time.
  bool wait_for_tokens(std::size_t n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return n_tokens_ >= n || ended_; }) && n_tokens_ >= n;
  }
  std::size_t n_tokens() const {
    std::lock_guard lock(mutex_);
    return n_tokens_;
  }
  std::vector<clock::time_point> times() const {
    std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<clock::time_point> times_;
  std::size_t n_tokens_ = 0;
  bool ended_ = false;
  bool failed_ = false;
};

double milliseconds(clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

/// Between neighbouring tokens, from the first after `begin` on.
std::vector<double> gaps(const std::vector<clock::time_point>& times, std::size_t begin) {
  std::vector<double> all;
  for (std::size_t i = std::max<std::size_t>(begin, 1); i < times.size(); ++i)
    all.push_back(milliseconds(times[i] - times[i - 1]));
  return all;
}

/// A head without an engine and two workers.
class small_cluster {
 public:
  static result<std::unique_ptr<small_cluster>> start(const options& wanted, const std::vector<std::string>& roles,
                                                      std::uint32_t stages) {
    std::unique_ptr<small_cluster> made(new small_cluster());
    node_options head;
    head.model = wanted.model;
    head.local_worker = false;
    head.cluster.listen = "127.0.0.1:0";
    auto started = node::start(head);
    if (!started) return started.error();
    made->head_ = *std::move(started);
    for (std::size_t i = 0; i < roles.size(); ++i) {
      worker_node_options worker;
      worker.worker.model = wanted.model;
      worker.worker.threads = 1;
      worker.worker.max_num_seqs = 8;
      worker.worker.num_speculative_tokens = 0;  // a token a step, so that gaps are steps
      worker.worker.enable_prefix_caching = false;
      worker.worker.relocation_stages = stages;
      worker.cluster.join = made->head_->cluster_address();
      worker.cluster.node_name = "worker-" + std::to_string(i + 1);
      worker.cluster.roles = roles[i];
      auto node = worker_node::start(worker);
      if (!node) return node.error();
      made->workers_.push_back(*std::move(node));
    }
    cluster_options operating;
    operating.join = made->head_->cluster_address();
    auto client = cluster_client::connect(operating);
    if (!client) return client.error();
    made->client_ = *std::move(client);
    const auto end = clock::now() + patience;
    while (made->head_->service().status().workers < roles.size() || !made->head_->service().status().ready) {
      if (clock::now() > end) return make_error(errc::unavailable, "The workers did not join.");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // every worker's first report
    return made;
  }

  std::shared_ptr<timed_stream> begin(std::uint32_t prompt_tokens, std::uint32_t answer_tokens, request_id& id) {
    generation_request request;
    id = request.id = head_->service().next_request_id();
    random_stream random(id.value);
    for (std::uint32_t i = 0; i < prompt_tokens; ++i)
      request.prompt.push_back(static_cast<token_id>(1000 + random.below(40'000)));
    request.sampling.temperature = 0;
    request.sampling.max_tokens = answer_tokens;
    request.sampling.ignore_eos = true;
    auto stream = std::make_shared<timed_stream>();
    head_->service().submit(std::move(request), stream);
    return stream;
  }
  void cancel(request_id id) { head_->service().cancel(id); }

  /// The worker that has a request; 0 for none.
  std::uint32_t worker_of(request_id id) {
    const auto seen = client_->overview();
    if (!seen) return 0;
    for (const auto& of : seen->requests)
      if (of.request == id && !of.queued) return of.worker.value;
    return 0;
  }
  /// Asks for a request to be moved to the other worker; false when it cannot be.
  bool migrate(request_id id) {
    const auto seen = client_->overview();
    if (!seen) return false;
    const std::uint32_t from = worker_of(id);
    for (const auto& of : seen->members)
      if (of.number != from) return client_->migrate(id, of.name).has_value();
    return false;
  }

 private:
  small_cluster() = default;
  std::unique_ptr<node> head_;
  std::vector<std::unique_ptr<worker_node>> workers_;
  std::unique_ptr<cluster_client> client_;
};

struct moved {
  std::vector<double> step_ms;   // medians of undisturbed gaps
  std::vector<double> pause_ms;  // of the longest gap while moving, what is above a step
  std::vector<double> total_ms;  // from the order until another worker has it
};

/// Moves one stream to and fro.
moved move_about(small_cluster& cluster, std::uint32_t prompt_tokens, std::uint32_t n_moves) {
  moved measured;
  request_id id;
  const auto stream = cluster.begin(prompt_tokens, 40 * (n_moves + 1), id);
  std::size_t due = 20;
  for (std::uint32_t i = 0; i < n_moves && stream->wait_for_tokens(due); ++i) {
    const auto before = stream->times();
    const std::uint32_t from = cluster.worker_of(id);
    const auto ordered = clock::now();
    if (!cluster.migrate(id)) break;
    while (cluster.worker_of(id) == from && clock::now() - ordered < std::chrono::seconds(5))
      std::this_thread::sleep_for(std::chrono::milliseconds(3));  // seldom: it asks all members
    measured.total_ms.push_back(milliseconds(clock::now() - ordered));
    if (!stream->wait_for_tokens(stream->n_tokens() + 10)) break;
    const double step = median(gaps(before, before.size() - 15));
    measured.step_ms.push_back(step);
    measured.pause_ms.push_back(std::max(0.0, std::ranges::max(gaps(stream->times(), before.size())) - step));
    due = stream->n_tokens() + 16;
  }
  cluster.cancel(id);
  return measured;
}

/// What a worker without any K and V needs to the next token of such a sequence.
std::vector<double> recompute(small_cluster& cluster, std::uint32_t prompt_tokens, std::uint32_t repeats) {
  std::vector<double> ms;
  for (std::uint32_t i = 0; i < repeats; ++i) {
    request_id id;
    const auto start = clock::now();
    const auto stream = cluster.begin(prompt_tokens, 2, id);
    if (!stream->wait_for_tokens(1)) break;
    ms.push_back(milliseconds(stream->times().front() - start));
  }
  return ms;
}

double percentile(std::vector<double> samples, double p) {
  std::ranges::sort(samples);
  return samples[static_cast<std::size_t>(p * static_cast<double>(samples.size() - 1) + 0.5)];
}

/// In steps, since a slower machine has longer ones.
std::vector<double> in_steps(const moved& m) {
  std::vector<double> steps;
  for (std::size_t i = 0; i < m.pause_ms.size(); ++i)
    steps.push_back(m.pause_ms[i] / m.step_ms[i]);
  return steps;
}

result<> measure_migrations(report& made, const options& wanted) {
  auto live = small_cluster::start(wanted, {"worker", "worker"}, 3);
  if (!live) return live.error();
  auto naive = small_cluster::start(wanted, {"worker", "worker"}, 0);
  if (!naive) return naive.error();
  std::vector<double> all_steps;
  std::vector<double> medians_ms;
  const std::vector<std::uint32_t> lengths = wanted.quick
                                                 ? std::vector<std::uint32_t>{128, 1024}
                                                 : std::vector<std::uint32_t>{64, 128, 256, 512, 1024, 2048, 4096};
  for (const std::uint32_t n : lengths) {
    const std::string at = "_at_" + std::to_string(n);
    const auto m = move_about(**live, n, wanted.quick ? 4 : 12);
    const auto stopped = move_about(**naive, n, wanted.quick ? 2 : 6);
    const auto anew = recompute(**live, n, wanted.quick ? 1 : 3);
    if (m.pause_ms.empty() || stopped.pause_ms.empty() || anew.empty())
      return make_error(errc::internal, "A stream of " + std::to_string(n) + " tokens could not be moved.");
    made.add({"step" + at, "ms", m.step_ms, {}});
    made.add({"migration_pause" + at, "ms", m.pause_ms, {}, goal::at_most, {}, "stop, copy, go on", stopped.pause_ms});
    made.add({"migration_total" + at, "ms", m.total_ms, {}, goal::at_most});
    std::vector<double> ratio;
    for (const double ms : anew)
      ratio.push_back(ms / std::max(0.1, median(m.pause_ms)));
    made.add({"recompute_over_pause" + at, "x", ratio, n == 1024 ? std::optional<double>(10) : std::nullopt});
    const auto steps = in_steps(m);
    all_steps.insert(all_steps.end(), steps.begin(), steps.end());
    medians_ms.push_back(median(m.pause_ms));
  }
  made.add({"migration_pause_p50", "steps", {percentile(all_steps, 0.5)}, 1.0, goal::at_most});
  made.add({"migration_pause_p99", "steps", {percentile(all_steps, 0.99)}, 3.0, goal::at_most});
  const double middle = median(medians_ms);
  double farthest = 0;
  for (const double ms : medians_ms)
    farthest = std::max(farthest, std::abs(ms / middle - 1));
  made.add({"migration_pause_flat", "%", {100 * farthest}, 50.0, goal::at_most});
  return {};
}

/// The gap between the first token, which the prefill worker draws, and the second, which the other one does.
result<> measure_hand_off(report& made, const options& wanted) {
  auto cluster = small_cluster::start(wanted, {"prefill", "decode"}, 3);
  if (!cluster) return cluster.error();
  for (const std::uint32_t n : {128u, 512u, 2048u}) {
    claim added{"hand_off_added_at_" + std::to_string(n), "ms", {}, {}, goal::at_most};
    for (std::uint32_t i = 0; i < (wanted.quick ? 2 : 8); ++i) {
      request_id id;
      const auto stream = (*cluster)->begin(n, 40, id);
      if (!stream->wait_for_tokens(40)) return make_error(errc::internal, "A stream was not handed off.");
      const auto all = gaps(stream->times(), 1);
      const double step = median(all);
      // Until it is moved the prefill worker decodes, so the pause may come a token later.
      added.samples.push_back(std::max(0.0, std::ranges::max(std::span(all).first(8)) - step));
    }
    made.add(added);
  }
  return {};
}

}  // namespace

result<report> migration(const options& wanted) {
  report made("migration");
  if (auto measured = measure_migrations(made, wanted); !measured) return measured.error();
  if (auto measured = measure_hand_off(made, wanted); !measured) return measured.error();
  return made;
}

}  // namespace troupe::bench
