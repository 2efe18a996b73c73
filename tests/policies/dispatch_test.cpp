#include "policies/dispatch.hpp"

#include "base/random.hpp"
#include "catch.hpp"

using namespace troupe;
using namespace troupe::policies;

namespace {

std::vector<dispatch_worker> random_workers(random_stream& random) {
  std::vector<dispatch_worker> workers(random.below(6));
  for (std::size_t i = 0; i < workers.size(); ++i) {
    workers[i].id = worker_id{static_cast<std::uint32_t>(i * 3)};
    workers[i].max_requests = static_cast<std::uint32_t>(random.below(4));
    workers[i].requests = static_cast<std::uint32_t>(random.below(4));
    workers[i].tokens_to_compute = static_cast<std::uint32_t>(random.below(3)) * 100;
  }
  return workers;
}

}  // namespace

TEST_CASE("a full worker never gets a request, and one with room is always found", "[dispatch]") {
  random_stream random(11);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    bool any_room = false;
    for (const auto& worker : workers)
      any_room |= worker.requests < worker.max_requests;
    for (const char* name : {"round_robin", "least_loaded"}) {
      const auto policy = make_dispatch_policy(name);
      REQUIRE(policy);
      const auto chosen = (*policy)->choose({10}, workers, static_cast<std::uint64_t>(round));
      REQUIRE(chosen.has_value() == any_room);
      if (!chosen) continue;
      for (const auto& worker : workers)
        if (worker.id == *chosen) REQUIRE(worker.requests < worker.max_requests);
    }
  }
}

TEST_CASE("least loaded is the brute-force minimum", "[dispatch]") {
  random_stream random(12);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    const auto chosen = least_loaded_dispatch{}.choose({10}, workers, 0);
    for (const auto& other : workers) {
      if (!chosen || other.requests >= other.max_requests || other.id == *chosen) continue;
      for (const auto& mine : workers) {
        if (mine.id != *chosen) continue;
        const bool better = other.tokens_to_compute < mine.tokens_to_compute ||
                            (other.tokens_to_compute == mine.tokens_to_compute && other.requests < mine.requests);
        REQUIRE_FALSE(better);
      }
    }
  }
}

TEST_CASE("round robin visits all workers evenly", "[dispatch]") {
  std::vector<dispatch_worker> workers(3);
  for (std::uint32_t i = 0; i < 3; ++i)
    workers[i] = {.id = worker_id{i}, .max_requests = 1000};
  std::array<int, 3> visits{};
  for (std::uint64_t turn = 0; turn < 300; ++turn)
    ++visits[round_robin_dispatch{}.choose({1}, workers, turn)->value];
  CHECK(visits == std::array<int, 3>{100, 100, 100});
}

TEST_CASE("unknown names are refused with the names there are", "[dispatch]") {
  const auto policy = make_dispatch_policy("fastest");
  REQUIRE_FALSE(policy);
  CHECK(policy.error().message.find("round_robin, least_loaded") != std::string::npos);
}
