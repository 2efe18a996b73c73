#include "policies/jitserve_goodput.hpp"

#include "base/random.hpp"
#include "plan_promises.hpp"

#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

using namespace troupe;
using namespace troupe::policies;
using namespace std::chrono_literals;

namespace {

const time_point now{1'000s};
const batch_limits limits{.blocks_free = 10'000, .max_running = 4, .now = now, .step_time = 50ms, .token_time = 100us};

batch_sequence running(std::uint64_t id, std::uint32_t drawn, std::uint32_t left, std::uint32_t n_prompt = 100) {
  batch_sequence s{.id = sequence_id{id}, .n_known = n_prompt + drawn, .n_computed = n_prompt + drawn - 1};
  s.n_blocks = blocks_of(s.n_computed);
  s.admitted = true;
  s.n_prompt = n_prompt;
  s.predicted_left = left;
  s.arrived = s.served = now - 1s;
  return s;
}

batch_sequence due(batch_sequence s, duration in) {
  s.objective.done_by = now + in;
  return s;
}

// `ahead` before the next token is due.
batch_sequence streaming(batch_sequence s, duration ahead) {
  s.objective.token_every = 100ms;
  s.objective.first_token_by = now + ahead - (s.n_known - s.n_prompt) * s.objective.token_every;
  return s;
}

double priority(const batch_sequence& s) {
  return jitserve_batching{}.priority(s, limits);
}

}  // namespace

TEST_CASE("a priority is finite and not negative, whatever the objective", "[jitserve]") {
  random_stream random(1);
  for (const duration in :
       {duration::min() / 2, -1'000'000s + 0ns, -1ns + 0ns, 0ns + 0ns, 1ns + 0ns, 1s + 0ns, duration::max() / 4})
    for (const std::uint32_t left : {0u, 1u, 1'000'000'000u}) {
      for (const auto& s : {due(running(1, 5, left), in), streaming(running(1, 5, left), in), running(1, 5, left)}) {
        CHECK(std::isfinite(priority(s)));
        CHECK(priority(s) >= 0);
      }
    }
  auto early = running(1, 5, 10);  // by a clock that jumped back
  early.arrived = now + 100s;
  CHECK(priority(early) > 0);
}

TEST_CASE("an answer counts the more the surer and the nearer its deadline", "[jitserve]") {
  // 100 steps of 50 ms left.
  CHECK(priority(due(running(1, 50, 100), 6s)) > priority(due(running(1, 50, 100), 4s)));   // it will hardly fit
  CHECK(priority(due(running(1, 50, 100), 8s)) > priority(due(running(1, 50, 100), 40s)));  // that one can wait
  CHECK(priority(due(running(1, 200, 100), 8s)) > priority(due(running(1, 10, 100), 8s)));  // more would be lost
  CHECK(priority(due(running(1, 50, 100), -1s)) < 0.01 * priority(due(running(1, 50, 100), 8s)));
  CHECK(priority(due(running(1, 50, 100), -1s)) > 0);
}

TEST_CASE("a part that is late counts as long as the whole can still be done", "[jitserve]") {
  auto late = due(running(1, 50, 100), 2s);
  const double lost = priority(late);
  late.objective.whole_by = now + 20s;
  CHECK(priority(late) > 10 * lost);
  late.objective.whole_by = now - 1s;  // nonsense: no help, no harm
  CHECK(priority(late) == lost);
}

TEST_CASE("a stream that is ahead of its schedule lends its place", "[jitserve]") {
  const auto on_time = streaming(running(1, 50, 100), 50ms);
  const auto ahead = streaming(running(1, 50, 100), 500ms);
  const auto late = streaming(running(1, 50, 100), -1s);
  const auto lost = streaming(running(1, 50, 10), -10s);
  CHECK(priority(on_time) > priority(ahead));
  CHECK(priority(on_time) > priority(late));
  CHECK(priority(late) > priority(lost));
  CHECK(priority(lost) > 0);
  // An answer with slack that is worth less than the stream, except while the stream has time.
  const std::vector<batch_sequence> with_time{ahead, due(running(2, 50, 100), 9s)};
  const std::vector<batch_sequence> without{on_time, due(running(2, 50, 100), 20s)};
  auto narrow = limits;
  narrow.max_running = 1;
  CHECK(jitserve_batching{}.plan(with_time, narrow).grants.front().id == sequence_id{2});
  CHECK(jitserve_batching{}.plan(without, narrow).grants.front().id == sequence_id{1});
}

TEST_CASE("half an objective is an objective", "[jitserve]") {
  auto paced = running(1, 50, 100);  // no first_token_by: due as if it were 1 s after arrival
  paced.objective.token_every = 100ms;
  auto both = paced;
  both.objective.first_token_by = both.arrived + 1s;
  CHECK(priority(paced) == priority(both));
  auto first_only = running(1, 0, 100);
  first_only.objective.first_token_by = now + 100ms;
  CHECK(priority(first_only) > priority(running(1, 0, 100)));
  first_only.n_known = first_only.n_computed = first_only.n_prompt + 5;  // it has got what it asked for
  auto without = first_only;
  without.objective = {};
  CHECK(priority(first_only) == priority(without));
  auto answer = due(running(1, 0, 100), 20s);
  const double unhurried = priority(answer);
  answer.objective.first_token_by = now + 100ms;
  CHECK(priority(answer) > unhurried);
}

TEST_CASE("who missed the deadline is served when there is room", "[jitserve]") {
  const std::vector<batch_sequence> sequences{due(running(1, 10, 10), -5s), due(running(2, 10, 50), 9s),
                                              running(3, 5, 1)};
  CHECK(jitserve_batching{}.plan(sequences, limits).grants.size() == 3);
  CHECK(jitserve_batching{}.plan({}, limits).grants.empty());
}

TEST_CASE("without grouping the batch is the best of all subsets", "[jitserve]") {
  random_stream random(11);
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    std::vector<batch_sequence> sequences;
    for (std::uint64_t id = 1; id <= 1 + random.below(9); ++id) {
      const auto n = [&](std::uint64_t bound) { return static_cast<std::uint32_t>(1 + random.below(bound)); };
      auto s = running(id, n(200), n(200), n(400));
      if (random.below(3) == 0)
        s = due(s, n(20) * 1s);
      else if (random.below(2) == 0)
        s = streaming(s, n(1'000) * 1ms - 500ms);
      sequences.push_back(s);
    }
    std::vector<double> priorities;
    for (const auto& s : sequences)
      priorities.push_back(priority(s));
    double best = 0;
    for (unsigned subset = 0; subset < 1u << sequences.size(); ++subset) {
      if (static_cast<std::uint32_t>(std::popcount(subset)) > limits.max_running) continue;
      double sum = 0;
      for (std::size_t i = 0; i < sequences.size(); ++i)
        sum += (subset >> i & 1) ? priorities[i] : 0;
      best = std::max(best, sum);
    }
    for (const bool grouping : {false, true}) {
      const jitserve_batching policy({.length_grouping = grouping});
      double sum = 0;
      for (const auto& grant : policy.plan(sequences, limits).grants)
        sum += priorities[grant.id.value - 1];
      REQUIRE(sum >= best * (grouping ? 0.95 : 1) * (1 - 1e-12));
      REQUIRE(sum <= best * (1 + 1e-12));
    }
  }
}

TEST_CASE("of equal candidates those of like length are taken", "[jitserve]") {
  std::vector<batch_sequence> sequences;
  for (const std::uint32_t n_prompt : {100u, 9'000u, 110u, 8'000u, 120u, 7'000u})
    sequences.push_back(due(running(sequences.size() + 1, 50, 100, n_prompt), 10s));
  auto three = limits;
  three.max_running = 3;
  const auto taken = [&](bool grouping) {
    std::set<std::uint64_t> ids;
    for (const auto& grant : jitserve_batching({.length_grouping = grouping}).plan(sequences, three).grants)
      ids.insert(grant.id.value);
    return ids;
  };
  CHECK(taken(true) == std::set<std::uint64_t>{1, 3, 5});
  CHECK(taken(false) == std::set<std::uint64_t>{1, 2, 3});
  // Who is clearly better is in, of whatever length.
  sequences[1] = due(running(2, 500, 100, 9'000), 10s);
  CHECK(taken(true) == std::set<std::uint64_t>{1, 2, 3});
}

TEST_CASE("a running one is replaced only when that earns more than computing it again costs", "[jitserve]") {
  // The waiting one is worth a little more, and there is no block for it.
  std::vector<batch_sequence> sequences{due(running(1, 50, 100, 4'000), 10s), due(running(2, 55, 100, 10), 10s)};
  sequences[1].admitted = false;
  sequences[1].n_computed = sequences[1].n_blocks = 0;
  auto tight = limits;
  tight.max_running = 1;
  tight.blocks_free = 1;
  const auto served = [&](bool sticky, std::uint32_t blocks_free) {
    tight.blocks_free = blocks_free;
    return jitserve_batching({.stickiness = sticky}).plan(sequences, tight).grants.front().id.value;
  };
  CHECK(served(true, 1) == 1);
  CHECK(served(false, 1) == 2);
  CHECK(served(true, 10) == 2);  // nothing has to be taken
  sequences[1].n_known += 200;   // 255 drawn: now it earns enough
  CHECK(served(true, 1) == 2);
}

TEST_CASE("blocks are taken from what is worth least, not from a stream that is ahead", "[jitserve]") {
  std::vector<batch_sequence> sequences{due(running(1, 10, 100), -5s), streaming(running(2, 50, 100), 3s),
                                        due(running(3, 0, 100), 8s)};
  sequences[2].admitted = false;
  sequences[2].n_computed = sequences[2].n_blocks = 0;
  auto tight = limits;
  tight.max_running = 1;
  tight.blocks_free = 1;
  const auto plan = jitserve_batching{}.plan(sequences, tight);
  CHECK(plan.preempt == std::vector<sequence_id>{sequence_id{1}});
  CHECK(plan.grants.front().id == sequence_id{3});
}

TEST_CASE("nobody starves: a grant within the bound, under a flood of what is worth more", "[jitserve]") {
  const jitserve_settings settings{.best_effort_patience_s = 1e9, .frame_steps = 10, .starving_frames = 5};
  std::vector<batch_sequence> sequences;
  for (std::uint64_t id = 1; id <= 20; ++id)
    sequences.push_back(id <= 10 ? running(id, 5, 100) : due(running(id, 100, 100), 8s));
  auto world = limits;
  std::map<std::uint64_t, int> last;
  for (int step = 1; step <= 1'000; ++step) {
    world.now += world.step_time;
    for (auto& s : sequences)  // the flood stays as urgent
      if (s.objective.done_by != time_point::max()) s.objective.done_by += world.step_time;
    for (const auto& grant : jitserve_batching(settings).plan(sequences, world).grants) {
      last[grant.id.value] = step;
      sequences[grant.id.value - 1].served = world.now;
    }
    for (const auto& s : sequences)
      REQUIRE(step - last[s.id.value] <= 10 * 5 + 20);
  }
}

TEST_CASE("best effort counts more the longer it waits, up to an answer's worth", "[jitserve]") {
  auto fresh = running(1, 1, 100);
  auto old = fresh;
  fresh.arrived = now;
  old.arrived = now - 60s;
  CHECK(priority(fresh) < 0.01 * priority(old));
  CHECK(priority(old) > priority(due(running(1, 1, 100), 40s)));
}
