// Virtual usage by hand, pairs, victims, and what scaling must never do. Its examples: llumnix_scaling_test.cpp.
#include "policies/llumnix_rescheduling.hpp"

#include "approximately.hpp"
#include "catch.hpp"
#include "dispatch_workers.hpp"

#include <cmath>
#include <limits>
#include <set>

using namespace troupe;
using namespace troupe::policies;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

dispatch_worker worker(std::uint32_t id, std::uint32_t used, std::uint32_t running) {
  return {.id = worker_id{id},
          .requests = running,
          .max_requests = 64,
          .blocks_used = used,
          .blocks_total = 100,
          .sequences_running = running};
}

batch_sequence decoding(std::uint64_t id, std::uint32_t n_known, std::int32_t priority = 0) {
  batch_sequence s;
  s.id = sequence_id{id};
  s.n_prompt = 10;
  s.n_known = n_known;
  s.n_computed = n_known - 1;
  s.admitted = true;
  s.priority = priority;
  return s;
}

}  // namespace

TEST_CASE("freeness is (M - sum V) / B", "[llumnix]") {
  // The instance's blocks less those in use, for each running request.
  CHECK(freeness(worker(1, 40, 4), 0) == approximately(15));
  // None runs: all blocks are free to the next one.
  CHECK(freeness(worker(1, 0, 0), 0) == approximately(100));
  // The first that waits counts with what it asks for, those behind it do not.
  auto waiting = worker(1, 40, 4);
  waiting.blocks_wanted = 20;
  waiting.blocks_queued = 500;
  CHECK(freeness(waiting, 0) == approximately(10));
  // More is asked for than there is.
  waiting.blocks_wanted = 100;
  CHECK(freeness(waiting, 0) == approximately(-10));
  // Urgent ones have headroom, together.
  auto urgent = worker(1, 40, 4);
  urgent.requests_urgent = 2;
  CHECK(freeness(urgent, 0) == approximately(15));
  CHECK(freeness(urgent, 20) == approximately(10));
  // What was assigned since the report takes its blocks at once when nobody waits …
  auto coming = worker(1, 40, 4);
  coming.requests_coming = 2;
  coming.blocks_coming = 12;
  CHECK(freeness(coming, 0) == approximately(8));
  // … and waits behind the first otherwise.
  coming.blocks_wanted = 30;
  CHECK(freeness(coming, 0) == approximately(5));
  auto leaving = worker(1, 0, 0);
  leaving.draining = true;
  CHECK(freeness(leaving, 0) == -infinity);
  CHECK(std::isfinite(freeness(dispatch_worker{}, ~0u)));
}

TEST_CASE("llumnix dispatches to the brute-force highest freeness", "[llumnix]") {
  random_stream random(31);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    const std::uint32_t headroom = small(random, 3) * 5;
    // (M - V) / B compared crosswise, in whole numbers.
    const auto free_blocks = [&](const dispatch_worker& w) {
      return std::int64_t{w.blocks_total} - w.blocks_used - (w.blocks_wanted > 0 ? w.blocks_wanted : w.blocks_coming) -
             (w.requests_urgent > 0 ? headroom : 0);
    };
    const auto batch = [](const dispatch_worker& w) {
      return std::max<std::int64_t>(1, w.sequences_running + w.requests_coming);
    };
    const auto expected = search_best(workers, [&](const dispatch_worker& a, const dispatch_worker& b) {
      return free_blocks(a) * batch(b) > free_blocks(b) * batch(a);
    });
    CAPTURE(round);
    REQUIRE(llumnix_dispatch(headroom).choose({100, 10, 0}, workers, 0) == expected);
  }
}

TEST_CASE("pairs: the lowest freeness with the highest", "[llumnix]") {
  // F: 1.25, 10, 0.5, 20, -1.25 (asks for more).
  std::vector workers{worker(1, 90, 8), worker(2, 50, 5), worker(3, 95, 10), worker(4, 40, 3), worker(5, 90, 8)};
  workers[4].blocks_wanted = 20;
  CHECK(pair_migrations(workers, {}) ==
        std::vector<migration_pair>{{worker_id{5}, worker_id{4}}, {worker_id{3}, worker_id{2}}});
  // All are below, or all above: nothing to do.
  CHECK(pair_migrations(std::vector{worker(1, 90, 8), worker(2, 95, 8)}, {}).empty());
  CHECK(pair_migrations(std::vector{worker(1, 10, 1), worker(2, 5, 1)}, {}).empty());
  CHECK(pair_migrations({}, {}).empty());
  // A draining one gives its requests away first; without any it is left alone.
  workers[3].draining = true;
  CHECK(pair_migrations(workers, {}) == std::vector<migration_pair>{{worker_id{4}, worker_id{2}}});
  workers[3].sequences_running = 0;
  CHECK(pair_migrations(workers, {}) == std::vector<migration_pair>{{worker_id{5}, worker_id{2}}});
  // A full one takes none, however free its memory.
  workers[1].max_requests = workers[1].requests;
  CHECK(pair_migrations(workers, {}).empty());
}

TEST_CASE("pairs of random instances keep to their rules", "[llumnix]") {
  random_stream random(32);
  int n_pairs = 0;
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random, 8);
    const rescheduling_settings settings{
        .migrate_below = 1.0 + small(random, 6), .migrate_above = 1.0 + small(random, 6), .headroom = small(random, 4)};
    const auto pairs = pair_migrations(workers, settings);
    CAPTURE(round);
    std::set<worker_id> seen;
    double last_from = -infinity, last_to = infinity;
    const auto at = [&](worker_id id) { return *std::ranges::find(workers, id, &dispatch_worker::id); };
    for (const auto& [from, to] : pairs) {
      ++n_pairs;
      REQUIRE(from != to);
      REQUIRE(seen.insert(from).second);
      REQUIRE(seen.insert(to).second);
      const double free_from = freeness(at(from), settings.headroom), free_to = freeness(at(to), settings.headroom);
      REQUIRE(free_from < settings.migrate_below);
      REQUIRE(at(from).sequences_running > 0);
      REQUIRE(free_to > settings.migrate_above);
      REQUIRE(has_room(at(to)));
      REQUIRE(free_from >= last_from);
      REQUIRE(free_to <= last_to);
      last_from = free_from, last_to = free_to;
    }
    // Whoever is left over has no partner left.
    int sources_left = 0, targets_left = 0;
    for (const auto& w : workers) {
      if (seen.contains(w.id)) continue;
      const double free = freeness(w, settings.headroom);
      if (free < settings.migrate_below && w.sequences_running > 0)
        ++sources_left;
      else if (free > settings.migrate_above && has_room(w))
        ++targets_left;
    }
    REQUIRE((sources_left == 0 || targets_left == 0));
  }
  CHECK(n_pairs > 1000);
}

TEST_CASE("who leaves: a decoding one that is not urgent, the cheapest of the last priority", "[llumnix]") {
  CHECK_FALSE(choose_victim({}));
  CHECK(choose_victim(std::vector{decoding(1, 30), decoding(2, 20), decoding(3, 40)}) == sequence_id{2});
  CHECK(choose_victim(std::vector{decoding(2, 20), decoding(1, 20)}) == sequence_id{1});
  // The last priority goes first, whatever it costs.
  CHECK(choose_victim(std::vector{decoding(1, 20), decoding(2, 900, 3), decoding(3, 30, 1)}) == sequence_id{2});
  CHECK_FALSE(choose_victim(std::vector{decoding(1, 20, -1), decoding(2, 20, -5)}));
  auto prefilling = decoding(1, 20);
  prefilling.n_prompt = 20;
  prefilling.n_computed = 5;
  auto waiting = decoding(2, 20);
  waiting.admitted = false;
  auto recomputing = decoding(3, 20);  // it was preempted
  recomputing.n_computed = 4;
  auto at_its_last_prompt_token = decoding(4, 20);
  at_its_last_prompt_token.n_prompt = 20;
  const std::vector all{prefilling, waiting, recomputing, at_its_last_prompt_token};
  CHECK_FALSE(choose_victim(all));
}

TEST_CASE("the victim is the brute-force minimum", "[llumnix]") {
  random_stream random(33);
  for (int round = 0; round < 3000; ++round) {
    std::vector<batch_sequence> all;
    for (std::uint64_t id = random.below(7); id > 0; --id) {
      auto s = decoding(id, 11 + small(random, 4), static_cast<std::int32_t>(small(random, 4)) - 1);
      s.admitted = random.below(4) != 0;
      if (random.below(4) == 0) s.n_computed -= 3;
      all.push_back(s);
    }
    const batch_sequence* best = nullptr;
    for (const auto& s : all) {
      if (!s.admitted || s.priority < 0 || s.n_computed + 1 != s.n_known) continue;
      const bool better = best == nullptr || s.priority > best->priority ||
                          (s.priority == best->priority &&
                           (s.n_computed < best->n_computed || (s.n_computed == best->n_computed && s.id < best->id)));
      if (better) best = &s;
    }
    const auto victim = choose_victim(all);
    CAPTURE(round);
    REQUIRE(victim.has_value() == (best != nullptr));
    if (victim) REQUIRE(*victim == best->id);
  }
}

TEST_CASE("scaling stays within its bounds and never takes the last one", "[llumnix_scaling]") {
  random_stream random(34);
  int ups = 0, downs = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto workers = random_workers(random);
    for (auto& w : workers) {
      w.blocks_total = 100;
      w.blocks_used = small(random, round % 2 == 0 ? 101 : 5);
      w.sequences_running = small(random, round % 2 == 0 ? 9 : 2);
      w.requests_coming = round % 2 == 0 ? w.requests_coming : 0;
      w.pinned = random.below(5) == 0;
    }
    scaling_settings settings;
    settings.min_workers = small(random, 4);
    settings.max_workers = settings.min_workers + small(random, 4);
    const std::uint32_t starting = small(random, 3);
    const auto decision = plan_scaling(workers, starting, settings, small(random, 3) * 10);
    std::uint32_t n = 0;
    for (const auto& w : workers)
      n += w.draining ? 0 : 1;
    CAPTURE(round, n, starting, settings.min_workers, settings.max_workers);
    if (n + starting < settings.min_workers) REQUIRE(decision.step == scaling_step::up);
    if (decision.step == scaling_step::up) {
      ++ups;
      REQUIRE(n + starting < std::max(settings.min_workers, settings.max_workers));
    }
    if (decision.step != scaling_step::down) continue;
    ++downs;
    REQUIRE(n > settings.min_workers);
    REQUIRE(n > 1);
    const auto drained = std::ranges::find(workers, decision.drain, &dispatch_worker::id);
    REQUIRE(drained != workers.end());
    REQUIRE_FALSE(drained->draining);
    REQUIRE_FALSE(drained->pinned);
    for (const auto& w : workers)
      if (!w.draining && !w.pinned) REQUIRE(drained->requests <= w.requests);
  }
  CHECK(ups > 1000);
  CHECK(downs > 1000);
}

TEST_CASE("under a steady load scaling comes to rest", "[llumnix_scaling]") {
  // So many running requests of so many blocks each, shared evenly by however many instances there are.
  for (std::uint32_t running = 0; running <= 64; ++running)
    for (std::uint32_t blocks = 1; blocks <= 60; ++blocks) {
      std::uint32_t n = 3;
      const scaling_settings settings{.min_workers = 1, .max_workers = 8, .scale_up_below = 10, .scale_down_above = 60};
      int changes = 0;
      for (int look = 0; look < 40; ++look) {
        std::vector<dispatch_worker> workers;
        for (std::uint32_t i = 0; i < n; ++i) {
          const std::uint32_t its = running / n + (i < running % n ? 1 : 0);
          workers.push_back(worker(i, its * blocks, its));
          workers.back().blocks_total = 851;
        }
        const auto step = plan_scaling(workers, 0, settings, 0).step;
        changes += step == scaling_step::stay ? 0 : 1;
        n += step == scaling_step::up ? 1u : 0u;
        n -= step == scaling_step::down ? 1u : 0u;
      }
      CAPTURE(running, blocks, n);
      REQUIRE(changes <= 7);
    }
}
