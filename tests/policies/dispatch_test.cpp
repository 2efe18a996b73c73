#include "policies/dispatch.hpp"

#include "catch.hpp"
#include "dispatch_workers.hpp"

#include <array>

using namespace troupe;
using namespace troupe::policies;

namespace {

std::vector<std::unique_ptr<dispatch_policy>> all_policies() {
  std::vector<std::unique_ptr<dispatch_policy>> all;
  for (const auto& name : dispatch_policy_names())
    all.push_back(*make_dispatch_policy(name));
  // The same policies with what can be chosen about them at its ends.
  for (const double alpha : {0.0, 1.0})
    all.push_back(*make_dispatch_policy("hexgen_text2sql", {.alpha = alpha, .cumulative_work = true}));
  all.push_back(*make_dispatch_policy("llumnix", {.headroom = 1000}));
  for (const double factor : {0.0, 1.0, 100.0})
    all.push_back(*make_dispatch_policy("prefix_aware", {.balance_factor = factor}));
  return all;
}

dispatch_worker* find(std::vector<dispatch_worker>& workers, worker_id id) {
  const auto found = std::ranges::find(workers, id, &dispatch_worker::id);
  return found == workers.end() ? nullptr : &*found;
}

std::uint32_t free_places(const std::vector<dispatch_worker>& workers) {
  std::uint32_t sum = 0;
  for (const auto& w : workers)
    if (!w.draining) sum += w.max_requests - w.requests;
  return sum;
}

}  // namespace

TEST_CASE("every policy finds a worker with room whenever there is one, and never another", "[dispatch]") {
  random_stream random(11);
  const auto policies = all_policies();
  for (int round = 0; round < 5000; ++round) {
    auto workers = random_workers(random);
    const auto request = random_request(random);
    for (const auto& policy : policies) {
      CAPTURE(round, policy->name());
      const auto chosen = policy->choose(request, workers, static_cast<std::uint64_t>(round));
      REQUIRE(chosen.has_value() == (free_places(workers) > 0));
      if (!chosen) continue;
      const auto* const worker = find(workers, *chosen);
      REQUIRE(worker != nullptr);
      REQUIRE_FALSE(worker->draining);
      REQUIRE(worker->requests < worker->max_requests);
    }
  }
}

TEST_CASE("every policy fills every place before it lets a request wait", "[dispatch]") {
  random_stream random(12);
  const auto policies = all_policies();
  for (int round = 0; round < 500; ++round) {
    const auto start = random_workers(random);
    for (const auto& policy : policies) {
      CAPTURE(round, policy->name());
      auto workers = start;
      const std::uint32_t places = free_places(workers);
      std::uint32_t taken = 0;
      for (std::uint64_t turn = 0; turn <= places; ++turn) {
        const auto chosen = policy->choose(random_request(random), workers, turn);
        if (!chosen) break;
        ++find(workers, *chosen)->requests;
        ++taken;
      }
      REQUIRE(taken == places);
    }
  }
}

TEST_CASE("more room never leaves a request undispatched", "[dispatch]") {
  random_stream random(13);
  const auto policies = all_policies();
  for (int round = 0; round < 2000; ++round) {
    const auto workers = random_workers(random);
    if (workers.empty()) continue;
    auto roomier = workers;
    auto& grown = roomier[random.below(roomier.size())];
    grown.max_requests += 1 + small(random, 3);
    grown.draining = false;
    const auto request = random_request(random);
    for (const auto& policy : policies) {
      CAPTURE(round, policy->name());
      const auto turn = random();
      REQUIRE(policy->choose(request, roomier, turn).has_value());
      if (policy->choose(request, workers, turn)) REQUIRE(free_places(workers) > 0);
    }
  }
}

TEST_CASE("the order of the workers and the turn change nothing but round robin", "[dispatch]") {
  random_stream random(14);
  const auto policies = all_policies();
  for (int round = 0; round < 2000; ++round) {
    auto workers = random_workers(random);
    const auto request = random_request(random);
    for (const auto& policy : policies) {
      if (policy->name() == "round_robin") continue;
      CAPTURE(round, policy->name());
      auto shuffled = workers;
      std::ranges::sort(shuffled, {}, &dispatch_worker::id);
      REQUIRE(policy->choose(request, workers, 0) == policy->choose(request, shuffled, random()));
    }
  }
}

TEST_CASE("of workers that are alike the lowest id is taken", "[dispatch]") {
  for (const auto& policy : all_policies()) {
    CAPTURE(policy->name());
    std::vector<dispatch_worker> workers;
    for (const std::uint32_t id : {7u, 3u, 9u})
      workers.push_back(
          {.id = worker_id{id}, .max_requests = 4, .blocks_total = 100, .token_s = 0.001, .step_s = 0.02});
    if (policy->name() != "round_robin") CHECK(policy->choose({100, 10, 0}, workers, 0) == worker_id{3});
  }
}

TEST_CASE("least loaded is the brute-force minimum", "[dispatch]") {
  random_stream random(15);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    const auto expected = search_best(workers, [](const dispatch_worker& one, const dispatch_worker& other) {
      if (one.tokens_to_compute != other.tokens_to_compute) return one.tokens_to_compute < other.tokens_to_compute;
      return one.requests < other.requests;
    });
    REQUIRE(least_loaded_dispatch{}.choose({10}, workers, 0) == expected);
  }
}

TEST_CASE("least memory is the brute-force minimum of the share in use or asked for", "[dispatch]") {
  random_stream random(16);
  for (int round = 0; round < 5000; ++round) {
    auto workers = random_workers(random);
    for (auto& w : workers)
      w.blocks_total = std::max(w.blocks_total, 10u);
    // Compared as fractions of whole numbers, without rounding.
    const auto expected = search_best(workers, [](const dispatch_worker& one, const dispatch_worker& other) {
      const auto asked = [](const dispatch_worker& w) { return w.blocks_used + w.blocks_queued + w.blocks_coming; };
      return asked(one) * other.blocks_total < asked(other) * one.blocks_total;
    });
    REQUIRE(least_memory_dispatch{}.choose({10}, workers, 0) == expected);
  }
}

TEST_CASE("least memory takes numbers near the end of their range, and workers without blocks", "[dispatch]") {
  constexpr std::uint32_t most = ~0u;
  std::vector<dispatch_worker> workers(2);
  workers[0] = {
      .id = worker_id{1}, .max_requests = 9, .blocks_used = most, .blocks_total = most, .blocks_coming = most};
  workers[1] = {.id = worker_id{2}, .max_requests = 9, .blocks_used = 10, .blocks_total = 10, .blocks_coming = 1};
  CHECK(least_memory_dispatch{}.choose({10}, workers, 0) == worker_id{2});
  workers[0] = {.id = worker_id{1}, .max_requests = 9};
  CHECK(least_memory_dispatch{}.choose({10}, workers, 0) == worker_id{1});
}

TEST_CASE("round robin visits all workers evenly, and skips those without room", "[dispatch]") {
  std::vector<dispatch_worker> workers(3);
  for (std::uint32_t i = 0; i < 3; ++i)
    workers[i] = {.id = worker_id{i}, .max_requests = 1000};
  std::array<int, 3> visits{};
  for (std::uint64_t turn = 0; turn < 300; ++turn)
    ++visits[round_robin_dispatch{}.choose({1}, workers, turn)->value];
  CHECK(visits == std::array<int, 3>{100, 100, 100});
  workers[1].draining = true;
  CHECK(round_robin_dispatch{}.choose({1}, workers, 1) == worker_id{2});
  workers[2].max_requests = 0;
  CHECK(round_robin_dispatch{}.choose({1}, workers, 1) == worker_id{0});
  CHECK(round_robin_dispatch{}.choose({1}, workers, ~std::uint64_t{0}) == worker_id{0});
}

TEST_CASE("unknown names are refused with the names there are", "[dispatch]") {
  for (const char* name : {"fastest", "", "least_loaded ", "LLUMNIX"}) {
    CAPTURE(name);
    const auto policy = make_dispatch_policy(name);
    REQUIRE_FALSE(policy);
    CHECK(policy.error().code == errc::invalid_argument);
    for (const auto& known : dispatch_policy_names())
      CHECK(policy.error().message.find(known) != std::string::npos);
  }
  for (const auto& name : dispatch_policy_names())
    CHECK((*make_dispatch_policy(name))->name() == name);
}
