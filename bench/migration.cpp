// How long a stream stands still while its request moves to another worker, for short and long sequences: live
// migration against the naive way (stop, copy, go on) and against computing everything anew; how much slower others on
// both workers are meanwhile; and what a hand-off after prefill adds.
#include "bench/benchmarks.hpp"
#include "bench/hand_off.hpp"
#include "bench/small_cluster.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace troupe::bench {
namespace {

struct moved {
  std::vector<double> step_ms;   // medians of undisturbed gaps
  std::vector<double> pause_ms;  // in which no worker computed it, as the workers count it
  std::vector<double> late_ms;   // of the longest gap that the client saw meanwhile, what is above a step
  std::vector<double> total_ms;  // from the order until it is over
};

/// Moves one stream to and fro.
moved move_about(small_cluster& cluster, std::uint32_t prompt_tokens, std::uint32_t n_moves) {
  moved measured;
  request_id id;
  const auto stream = cluster.begin(prompt_tokens, 100 * (n_moves + 1), id);
  std::size_t due = 20;
  for (std::uint32_t i = 0; i < n_moves && stream->wait_for_tokens(due); ++i) {
    const auto before = stream->times();
    const auto took = cluster.move(id);
    if (!took || !stream->wait_for_tokens(stream->n_tokens() + 10)) break;
    measured.total_ms.push_back(took->total_ms);
    measured.pause_ms.push_back(took->pause_ms);
    const double step = median(gaps(before, before.size() - 15));
    measured.step_ms.push_back(step);
    measured.late_ms.push_back(std::max(0.0, std::ranges::max(gaps(stream->times(), before.size())) - step));
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
  for (std::size_t i = 0; i < m.late_ms.size(); ++i)
    steps.push_back(m.late_ms[i] / m.step_ms[i]);
  return steps;
}

result<> measure_migrations(report& made, const options& wanted) {
  auto live = small_cluster::start(wanted, {"worker", "worker"}, 3);
  if (!live) return live.error();
  auto naive = small_cluster::start(wanted, {"worker", "worker"}, 0);
  if (!naive) return naive.error();
  // Wakes threads and caches up on both sides.
  move_about(**live, 64, 4);
  move_about(**naive, 64, 4);
  std::vector<double> all_steps;
  std::vector<double> pauses_ms;
  const std::vector<std::uint32_t> lengths = wanted.quick
                                                 ? std::vector<std::uint32_t>{128, 1024}
                                                 : std::vector<std::uint32_t>{64, 128, 256, 512, 1024, 2048, 4096};
  for (const std::uint32_t n : lengths) {
    const std::string at = "_at_" + std::to_string(n);
    const auto m = move_about(**live, n, wanted.quick ? 4 : 20);
    const auto stopped = move_about(**naive, n, wanted.quick ? 2 : 4);
    const auto anew = recompute(**live, n, wanted.quick || n > 1024 ? 1 : 3);
    if (m.pause_ms.empty() || stopped.pause_ms.empty() || anew.empty())
      return make_error(errc::internal, "A stream of " + std::to_string(n) + " tokens could not be moved.");
    made.add({"step" + at, "ms", m.step_ms, {}});
    made.add({"migration_pause" + at, "ms", m.pause_ms, {}, goal::at_most, {}, "stop, copy, go on", stopped.pause_ms});
    made.add(
        {"client_waits_longer" + at, "ms", m.late_ms, {}, goal::at_most, {}, "stop, copy, go on", stopped.late_ms});
    made.add({"migration_total" + at, "ms", m.total_ms, {}, goal::at_most});
    std::vector<double> ratio;
    for (const double ms : anew)
      ratio.push_back(ms / std::max(0.1, median(m.late_ms)));
    made.add({"recompute_over_migration" + at, "x", ratio, n == 1024 ? std::optional<double>(10) : std::nullopt});
    const auto steps = in_steps(m);
    all_steps.insert(all_steps.end(), steps.begin(), steps.end());
    pauses_ms.push_back(median(m.pause_ms));
  }
  made.add({"client_waits_longer_p50", "steps", {percentile(all_steps, 0.5)}, 1.0, goal::at_most});
  made.add({"client_waits_longer_p99", "steps", {percentile(all_steps, 0.99)}, 3.0, goal::at_most});
  const double middle = median(pauses_ms);
  double farthest = 0;
  for (const double ms : pauses_ms)
    farthest = std::max(farthest, std::abs(ms / middle - 1));
  made.add({"migration_pause_flat_from_64_to_4096", "%", {100 * farthest}, 50.0, goal::at_most});
  return {};
}

/// The medians of two streams' gaps, one on each worker, while a third one stays and while it moves about.
result<> measure_others(report& made, const options& wanted) {
  auto cluster = small_cluster::start(wanted, {"worker", "worker"}, 3);
  if (!cluster) return cluster.error();
  std::vector<std::shared_ptr<timed_stream>> streams;
  std::vector<request_id> ids(3);
  for (auto& id : ids) {
    streams.push_back((*cluster)->begin(512, 4000, id));
    if (!streams.back()->wait_for_tokens(30)) return make_error(errc::internal, "A stream does not run.");
  }
  std::vector<double> slowed;
  for (int round = 0; round < (wanted.quick ? 3 : 12); ++round) {
    // Tokens of the others in a stretch of time with a migration in it, and in one of the same length without.
    const auto count = [&] { return streams[0]->n_tokens() + streams[1]->n_tokens(); };
    const auto rate_during = [&](const std::function<bool()>& what) -> std::optional<double> {
      const auto begin = clock::now();
      const std::size_t before = count();
      if (!what()) return std::nullopt;
      return static_cast<double>(count() - before) / milliseconds(clock::now() - begin);
    };
    const auto moving = rate_during([&] {
      const auto begin = clock::now();
      if (!(*cluster)->move(ids[2])) return false;
      std::this_thread::sleep_until(begin + std::chrono::milliseconds(400));
      return true;
    });
    const auto staying = rate_during([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      return true;
    });
    if (!moving) return make_error(errc::internal, "A stream could not be moved.");
    slowed.push_back(100 * (1 - *moving / *staying));
  }
  for (const auto id : ids)
    (*cluster)->cancel(id);
  made.add({"others_slowed_by_a_migration_each_400_ms", "%", slowed, 5.0, goal::at_most});
  return {};
}

}  // namespace

result<report> migration(const options& wanted) {
  report made("migration");
  // First: what UCX may use in the processes it starts is set by what uses UCX here.
  const auto transfers = measure_transfers(wanted);
  if (!transfers) return transfers.error();
  if (auto measured = measure_migrations(made, wanted); !measured) return measured.error();
  if (auto measured = measure_others(made, wanted); !measured) return measured.error();
  if (auto measured = measure_hand_off(made, wanted, *transfers); !measured) return measured.error();
  return made;
}

}  // namespace troupe::bench
