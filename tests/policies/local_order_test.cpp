#include "policies/local_order.hpp"

#include "base/random.hpp"
#include "plan_promises.hpp"

#include <chrono>

using namespace troupe;
using namespace troupe::policies;
using namespace std::chrono_literals;

namespace {

const time_point now{100s};

batch_sequence decoding(std::uint64_t id, std::uint32_t n_known = 40) {
  return {sequence_id{id}, n_known, n_known - 1, blocks_of(n_known - 1), true};
}

batch_sequence waiting(std::uint64_t id, std::uint32_t n_known) {
  return {.id = sequence_id{id}, .n_known = n_known, .n_prompt = n_known};
}

batch_plan plan_of(std::string_view name, const std::vector<batch_sequence>& sequences, batch_limits limits) {
  limits.now = now;
  return (*make_batching_policy(name))->plan(sequences, limits);
}

std::vector<std::uint64_t> granted(const batch_plan& plan) {
  std::vector<std::uint64_t> ids;
  for (const auto& grant : plan.grants)
    ids.push_back(grant.id.value);
  return ids;
}

using ids = std::vector<std::uint64_t>;

struct random_world {
  std::vector<batch_sequence> sequences;
  batch_limits limits;
  std::uint32_t used = 0;  // blocks

  random_world(random_stream& random, bool only_decoding) {
    const auto below = [&](std::uint64_t bound) { return static_cast<std::uint32_t>(random.below(bound)); };
    const auto some_time = [&] { return random.below(3) == 0 ? time_point::max() : now + below(40) * 1s - 10s; };
    for (std::uint64_t i = 0, n = random.below(12); i < n; ++i) {
      batch_sequence s;
      s.id = sequence_id{i + 1};
      s.n_known = 1 + below(200);
      s.admitted = only_decoding || below(2) == 0;
      s.n_computed = only_decoding ? s.n_known - 1 : s.admitted ? below(s.n_known) : 0;
      s.n_blocks = blocks_of(s.n_computed);
      s.priority = static_cast<std::int32_t>(below(3)) / 2;
      s.n_prompt = 1 + below(s.n_known);
      s.predicted_left = 1 + below(300);
      s.arrived = now - below(100) * 1s;
      s.objective = {some_time(), below(2) * 100ms, some_time()};
      if (s.admitted) s.served = now - below(50) * 1s;
      used += s.n_blocks;
      sequences.push_back(s);
    }
    limits.blocks_free = below(20);
    limits.max_batched_tokens = 1 + below(300);
    limits.max_sequences = 1 + below(12);
    limits.interleaved_prefill_tokens = 1 + below(100);
    limits.attention_context = below(3) == 0 ? 0 : 1 + below(100);
    limits.max_running = below(2) * below(8);
    limits.now = now;
  }
};

}  // namespace

TEST_CASE("every name makes the policy of that name, another is told what there is", "[local_order]") {
  for (const auto name : batching_policy_names())
    CHECK((*make_batching_policy(name))->name() == name);
  const auto unknown = make_batching_policy("lifo");
  REQUIRE_FALSE(unknown);
  for (const auto name : batching_policy_names())
    CHECK(unknown.error().message.find(name) != std::string::npos);
}

TEST_CASE("every promise of a plan holds in random worlds, whatever the order", "[local_order]") {
  for (const auto name : batching_policy_names()) {
    CAPTURE(name);
    random_stream random(2026);
    const auto policy = *make_batching_policy(name);
    for (int round = 0; round < 8'000; ++round) {
      CAPTURE(round);
      const random_world world(random, false);
      const auto plan = policy->plan(world.sequences, world.limits);
      const auto slack = require_promises(plan, world.sequences, world.limits);
      REQUIRE(plan.grants == policy->plan(world.sequences, world.limits).grants);
      // Somebody moves whenever the whole pool could hold somebody's next token.
      if (!world.sequences.empty() && world.used + world.limits.blocks_free >= blocks_of(200))
        REQUIRE_FALSE(plan.grants.empty());
      // Spare room is used: no stream is left whose next token would still have had its place.
      if (name == "prefill_first" || slack.tokens == 0) continue;
      if (world.limits.max_running > 0 && plan.grants.size() == world.limits.max_running) continue;
      for (const auto& s : world.sequences)
        if (s.admitted && s.n_known - s.n_computed == 1 && slack.unnamed.contains(s.id))
          REQUIRE(blocks_of(s.n_known) > s.n_blocks + slack.blocks);
    }
  }
}

TEST_CASE("streams alone: more room never serves fewer of them", "[local_order]") {
  for (const auto name : batching_policy_names()) {
    CAPTURE(name);
    random_stream random(7);
    const auto policy = *make_batching_policy(name);
    for (int round = 0; round < 3'000; ++round) {
      CAPTURE(round);
      random_world world(random, true);
      world.limits.max_running = 1 + world.limits.max_running;
      const auto n = policy->plan(world.sequences, world.limits).grants.size();
      auto wider = world.limits;
      ++wider.max_running;
      REQUIRE(policy->plan(world.sequences, wider).grants.size() >= n);
      wider = world.limits;
      ++wider.blocks_free;
      REQUIRE(policy->plan(world.sequences, wider).grants.size() >= n);
    }
  }
}

TEST_CASE("a step that computes few keeps the blocks of the others", "[local_order]") {
  const std::vector<batch_sequence> streams{decoding(1), decoding(2), decoding(3)};
  const auto plan = plan_of("fcfs", streams, {.blocks_free = 10, .max_running = 2});
  CHECK(granted(plan) == ids{1, 2});
  CHECK(plan.preempt.empty());
  // Only when blocks run out, the last goes first.
  const std::vector<batch_sequence> at_an_edge{decoding(1, 17), decoding(2, 17), decoding(3, 17), decoding(4, 17)};
  const auto tight = plan_of("fcfs", at_an_edge, {.blocks_free = 0, .max_running = 2});
  CHECK(granted(tight) == ids{1, 2});
  CHECK(tight.preempt == std::vector<sequence_id>{sequence_id{4}, sequence_id{3}});
}

TEST_CASE("a place in the step that a prompt cannot use goes to a stream", "[local_order]") {
  std::vector<batch_sequence> sequences{waiting(1, 100), waiting(2, 100), decoding(3), decoding(4)};
  const batch_limits limits{.blocks_free = 100, .interleaved_prefill_tokens = 50, .max_running = 3};
  CHECK(granted(plan_of("fcfs", sequences, limits)) == ids{3, 4, 1});
}

TEST_CASE("prefill_first computes whole prompts as long as they fit, then lets streams go on", "[local_order]") {
  const std::vector<batch_sequence> sequences{decoding(1), waiting(2, 300), waiting(3, 200), waiting(4, 100)};
  CHECK(plan_of("prefill_first", sequences, {.blocks_free = 100}).grants ==
        std::vector<batch_grant>{{sequence_id{2}, 300}, {sequence_id{3}, 200}});
  CHECK(granted(plan_of("prefill_first", sequences, {.blocks_free = 18})) == ids{1});
  CHECK(granted(plan_of("prefill_first", sequences, {.blocks_free = 100, .max_sequences = 2})) == ids{2});
  CHECK(granted(plan_of("prefill_first", {decoding(1), decoding(2)}, {.blocks_free = 1})) == ids{1, 2});
  SECTION("one that is longer than a step goes alone, in chunks") {
    const std::vector<batch_sequence> with_long{decoding(1), waiting(2, 800), waiting(3, 10)};
    CHECK(plan_of("prefill_first", with_long, {.blocks_free = 100}).grants ==
          std::vector<batch_grant>{{sequence_id{2}, 512}});
    std::vector<batch_sequence> later{decoding(1), waiting(2, 800), waiting(3, 10)};
    later[1].admitted = true;
    later[1].n_computed = 512;
    later[1].n_blocks = 32;
    CHECK(plan_of("prefill_first", later, {.blocks_free = 100}).grants ==
          std::vector<batch_grant>{{sequence_id{2}, 288}, {sequence_id{3}, 10}});
  }
}

TEST_CASE("sjf: the shortest remaining work, waiting or not", "[local_order]") {
  std::vector<batch_sequence> sequences{decoding(1), decoding(2), waiting(3, 10)};
  sequences[0].predicted_left = 50;
  sequences[1].predicted_left = 1;
  sequences[2].predicted_left = 20;
  const batch_limits limits{.blocks_free = 10, .max_running = 2};
  CHECK(granted(plan_of("sjf", sequences, limits)) == ids{2, 3});
  sequences[2].n_known = sequences[2].n_prompt = 5'000;  // a prompt is work too: 5 s at 1 ms a token
  CHECK(granted(plan_of("sjf", sequences, limits)) == ids{2, 1});
}

TEST_CASE("sjf: a short one takes the blocks of a long one", "[local_order]") {
  std::vector<batch_sequence> sequences{decoding(1, 160), waiting(2, 10)};
  sequences[0].predicted_left = 500;
  const auto plan = plan_of("sjf", sequences, {.blocks_free = 0, .max_running = 1});
  CHECK(granted(plan) == ids{2});
  CHECK(plan.preempt == std::vector<sequence_id>{sequence_id{1}});
}

TEST_CASE("edf: the earliest deadline, those without last", "[local_order]") {
  std::vector<batch_sequence> sequences{decoding(1), decoding(2), decoding(3), decoding(4)};
  sequences[1].objective.done_by = now + 5s;
  sequences[2].objective = {.first_token_by = now - 1s, .token_every = 100ms};
  sequences[2].n_prompt = 10;  // 30 drawn: the next is due in 2 s
  sequences[3].objective.done_by = now - 1s;
  for (auto& s : sequences)
    s.n_prompt = s.n_prompt == 0 ? s.n_known : s.n_prompt;
  CHECK(granted(plan_of("edf", sequences, {.blocks_free = 10, .max_running = 3})) == ids{4, 3, 2});
}

TEST_CASE("urgency: the least slack, but who is admitted goes on", "[local_order]") {
  std::vector<batch_sequence> sequences{decoding(1), decoding(2), waiting(3, 10), waiting(4, 10)};
  for (auto& s : sequences)
    s.objective.done_by = now + 10s;
  sequences[1].predicted_left = 100;  // 2 s of work
  sequences[2].objective.done_by = now - 3s;
  sequences[3].objective.done_by = now - 5s;  // negative budgets stay in order
  const auto order = [&](std::uint32_t n) {
    return granted(plan_of("urgency", sequences, {.blocks_free = 10, .max_running = n}));
  };
  CHECK(order(2) == ids{2, 1});
  CHECK(order(3) == ids{2, 1, 4});
}

TEST_CASE("las: the least attained service", "[local_order]") {
  std::vector<batch_sequence> sequences{decoding(1, 900), decoding(2, 40), waiting(3, 200)};
  CHECK(granted(plan_of("las", sequences, {.blocks_free = 100, .max_running = 2})) == ids{2, 3});
}

TEST_CASE("a priority comes before every order", "[local_order]") {
  for (const auto name : batching_policy_names()) {
    CAPTURE(name);
    std::vector<batch_sequence> sequences{decoding(1), decoding(2)};
    sequences[0].priority = 1;
    sequences[0].objective.done_by = now + 1s;
    sequences[1].predicted_left = 1'000;
    sequences[1].served = now;
    CHECK(granted(plan_of(name, sequences, {.blocks_free = 10, .max_running = 1})) == ids{2});
  }
}

TEST_CASE("a pass over a thousand waiting sequences is short", "[local_order]") {
  random_stream random(3);
  std::vector<batch_sequence> sequences;
  for (std::uint64_t id = 1; id <= 1'064; ++id) {
    auto s = id <= 64 ? decoding(id, static_cast<std::uint32_t>(50 + random.below(500)))
                      : waiting(id, static_cast<std::uint32_t>(50 + random.below(500)));
    s.predicted_left = static_cast<std::uint32_t>(1 + random.below(400));
    s.arrived = s.served = now - random.below(30) * 1s;
    if (id % 3 == 0) s.objective = {.first_token_by = s.arrived + 1s, .token_every = 100ms};
    if (id % 3 == 1) s.objective.done_by = s.arrived + 40s;
    sequences.push_back(s);
  }
  for (const auto name : batching_policy_names())
    for (const std::uint32_t blocks_free : {0u, 1'000u}) {
      const auto policy = *make_batching_policy(name);
      duration best = duration::max();
      for (int round = 0; round < 10; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        const auto plan = policy->plan(sequences, {.blocks_free = blocks_free, .max_running = 32, .now = now});
        best = std::min(best, std::chrono::steady_clock::now() - begin);
        REQUIRE(plan.grants.size() == 32);
      }
      const auto us = std::chrono::duration<double, std::micro>(best).count();
      UNSCOPED_INFO(name << " with " << blocks_free << " blocks free: " << us << " us");
      CHECK(us < 5'000);
    }
}
