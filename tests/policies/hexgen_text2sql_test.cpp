#include "policies/hexgen_text2sql.hpp"

#include "approximately.hpp"
#include "catch.hpp"
#include "dispatch_workers.hpp"

using namespace troupe;
using namespace troupe::policies;

namespace {

/// The quick one and one of a third of its pace.
std::vector<dispatch_worker> quick_and_slow() {
  std::vector<dispatch_worker> workers(2);
  workers[0] = {.id = worker_id{1}, .max_requests = 100, .token_s = 0.003, .step_s = 0.06};
  workers[1] = {.id = worker_id{2}, .max_requests = 100, .token_s = 0.001, .step_s = 0.02};
  return workers;
}

constexpr dispatch_request call{1000, 100, 0};
constexpr worker_id slow{1}, quick{2};

}  // namespace

TEST_CASE("a call's time alone is its prompt's and its answer's", "[hexgen]") {
  CHECK(time_alone(call, quick_and_slow()[1]) == approximately(3));
  CHECK(time_alone(call, dispatch_worker{}) == 0);
  CHECK(time_alone({0, 0, 0}, quick_and_slow()[1]) == 0);
}

TEST_CASE("hexgen is the brute-force argmax of suitability against work", "[hexgen]") {
  random_stream random(41);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    const auto request = random_request(random);
    const hexgen_settings settings{0.25 * small(random, 5), random.below(2) == 0};
    double base = 1e18, work = 0;
    const auto alone = [&](const dispatch_worker& w) {
      return request.prompt_tokens * w.token_s + request.predicted_tokens * w.step_s;
    };
    const auto its_work = [&](const dispatch_worker& w) { return settings.cumulative ? w.work_ever_s : w.work_s; };
    for (const auto& w : workers) {
      if (alone(w) > 0) base = std::min(base, alone(w));
      work += its_work(w) / static_cast<double>(workers.size());
    }
    const auto value = [&](const dispatch_worker& w) {
      const double suits = alone(w) > 0 ? base / alone(w) : 1;
      return settings.alpha * suits - (work > 0 ? (1 - settings.alpha) * its_work(w) / work : 0);
    };
    const auto chosen = hexgen_dispatch(settings).choose(request, workers, 0);
    for (const auto& mine : workers)
      for (const auto& other : workers) {
        if (!chosen || mine.id != *chosen || !has_room(other)) continue;
        CAPTURE(round, settings.alpha, mine.id.value, other.id.value);
        REQUIRE(value(mine) >= value(other) - 1e-9);
      }
  }
}

TEST_CASE("alpha 1 is the quickest whatever it has to do, alpha 0 the one with least work however slow", "[hexgen]") {
  auto workers = quick_and_slow();
  workers[1].work_s = workers[1].work_ever_s = 1000;
  workers[0].work_s = workers[0].work_ever_s = 1;
  CHECK(hexgen_dispatch({1, false}).choose(call, workers, 0) == quick);
  CHECK(hexgen_dispatch({0, false}).choose(call, workers, 0) == slow);
  // Between: a third of the suitability weighs as much as some work.
  workers[1].work_s = 1.1;
  CHECK(hexgen_dispatch({0.5, false}).choose(call, workers, 0) == quick);
  workers[1].work_s = 10;
  CHECK(hexgen_dispatch({0.5, false}).choose(call, workers, 0) == slow);
}

TEST_CASE("one worker takes everything, none takes nothing", "[hexgen]") {
  for (const double alpha : {0.0, 0.2, 1.0}) {
    CHECK(hexgen_dispatch({alpha, false}).choose(call, std::vector{quick_and_slow()[0]}, 0) == slow);
    CHECK_FALSE(hexgen_dispatch({alpha, false}).choose(call, {}, 0));
  }
}

TEST_CASE("a worker of unknown pace is tried as if it were the quickest", "[hexgen]") {
  auto workers = quick_and_slow();
  workers[0].token_s = workers[0].step_s = 0;
  CHECK(hexgen_dispatch({1, false}).choose(call, workers, 0) == slow);
  workers[1].work_s = 5;
  CHECK(hexgen_dispatch({0.2, false}).choose(call, workers, 0) == slow);
  workers[0].work_s = 6;
  CHECK(hexgen_dispatch({0.2, false}).choose(call, workers, 0) == quick);
  // Nobody's is known: the least work, then the lowest id.
  workers[1].token_s = workers[1].step_s = 0;
  workers[0].work_s = workers[1].work_s = 0;
  CHECK(hexgen_dispatch({0.2, false}).choose(call, workers, 0) == slow);
}

TEST_CASE("work that is done counts only when it is cumulative", "[hexgen]") {
  auto workers = quick_and_slow();
  workers[1].work_s = 0;
  workers[1].work_ever_s = 100;
  workers[0].work_s = workers[0].work_ever_s = 10;
  CHECK(hexgen_dispatch({0.2, false}).choose(call, workers, 0) == quick);
  CHECK(hexgen_dispatch({0.2, true}).choose(call, workers, 0) == slow);
}

TEST_CASE("many calls: outstanding work is shared by pace, and alpha 0 with it alike", "[hexgen]") {
  for (const double alpha : {0.0, 0.2, 0.5}) {
    auto workers = quick_and_slow();
    for (auto& w : workers)
      w.max_requests = 10'000;
    for (int i = 0; i < 400; ++i) {
      const auto chosen = hexgen_dispatch({alpha, false}).choose(call, workers, 0);
      auto& w = workers[*chosen == slow ? 0 : 1];
      ++w.requests;
      w.work_s += time_alone(call, w);
    }
    CAPTURE(alpha);
    // Equal work in seconds is three calls to one; suitability adds at most two thirds of the mean work to the quick.
    CHECK(workers[1].requests >= 2.9 * workers[0].requests);
    CHECK(workers[1].work_s <= workers[0].work_s * (1 + 2 * alpha) + 10);
  }
}
