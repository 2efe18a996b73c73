#include "base/random.hpp"
#include "catch.hpp"
#include "policies/local_order.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::policies;

namespace {

batch_sequence decoding(std::uint64_t id, std::uint32_t n_known, std::int32_t priority = 0) {
  return {sequence_id{id}, n_known, n_known - 1, (n_known - 1 + 15) / 16, true, priority};
}

batch_sequence waiting(std::uint64_t id, std::uint32_t n_known, std::int32_t priority = 0) {
  return {sequence_id{id}, n_known, 0, 0, false, priority};
}

std::uint32_t blocks_for(std::uint32_t tokens) {
  return (tokens + 15) / 16;
}

}  // namespace

TEST_CASE("running streams come first, then prompts share what is left", "[batching]") {
  const std::vector<batch_sequence> sequences{decoding(1, 40), waiting(2, 1000), decoding(3, 20), waiting(4, 5)};
  const auto plan = fcfs_batching{}.plan(sequences, {.blocks_free = 100, .interleaved_prefill_tokens = 128});
  CHECK(plan.preempt.empty());
  CHECK(plan.grants == std::vector<batch_grant>{{sequence_id{1}, 1}, {sequence_id{3}, 1}, {sequence_id{2}, 128}});
}

TEST_CASE("alone, a prompt takes the whole budget", "[batching]") {
  const std::vector<batch_sequence> sequences{waiting(2, 1000)};
  const auto plan = fcfs_batching{}.plan(sequences, {.blocks_free = 100, .max_batched_tokens = 512});
  CHECK(plan.grants == std::vector<batch_grant>{{sequence_id{2}, 512}});
}

TEST_CASE("further into a prompt a chunk has fewer tokens, since each attends to more", "[batching]") {
  const auto chunk_at = [](std::uint32_t n_computed, bool beside_a_stream) {
    std::vector<batch_sequence> sequences{{sequence_id{2}, 20'000, n_computed, blocks_for(n_computed), true, 0}};
    if (beside_a_stream) sequences.push_back(decoding(1, 40));
    const auto plan = fcfs_batching{}.plan(sequences, {.blocks_free = 10'000,
                                                       .max_batched_tokens = 512,
                                                       .interleaved_prefill_tokens = 128,
                                                       .attention_context = 1'000});
    return plan.grants.back().n_tokens;
  };
  CHECK(chunk_at(0, false) == 512);
  CHECK(chunk_at(1'000, false) == 256);
  CHECK(chunk_at(0, true) == 128);
  CHECK(chunk_at(1'000, true) == 64);
  CHECK(chunk_at(3'000, true) == 32);
  CHECK(chunk_at(19'000, true) == 6);
}

TEST_CASE("what a long prompt leaves of the budget goes to the next", "[batching]") {
  const std::vector<batch_sequence> sequences{
      decoding(1, 40), {sequence_id{2}, 1'010, 1'000, blocks_for(1'000), true, 0}, waiting(3, 500)};
  const auto plan = fcfs_batching{}.plan(
      sequences, {.blocks_free = 100, .interleaved_prefill_tokens = 128, .attention_context = 1'000});
  CHECK(plan.grants == std::vector<batch_grant>{{sequence_id{1}, 1}, {sequence_id{2}, 10}, {sequence_id{3}, 108}});
}

TEST_CASE("out of blocks, the last of the lowest priority goes", "[batching]") {
  const std::vector<batch_sequence> sequences{decoding(1, 17), decoding(2, 17, 5), decoding(3, 17)};
  const auto plan = fcfs_batching{}.plan(sequences, {.blocks_free = 1});
  CHECK(plan.preempt == std::vector<sequence_id>{sequence_id{2}});
  CHECK(plan.grants == std::vector<batch_grant>{{sequence_id{1}, 1}, {sequence_id{3}, 1}});
}

TEST_CASE("nobody overtakes a prompt that finds no room", "[batching]") {
  const std::vector<batch_sequence> sequences{decoding(1, 10), waiting(2, 400), waiting(3, 5)};
  const auto plan = fcfs_batching{}.plan(sequences, {.blocks_free = 0});
  CHECK(plan.grants == std::vector<batch_grant>{{sequence_id{1}, 1}});
}

namespace {

// Expected tokens over time of a step that tries n[i] guesses of stream i.
double rate(const std::vector<batch_sequence>& streams, const std::vector<std::uint32_t>& n, double row_cost) {
  double tokens = 0;
  double rows = 0;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    double chance = 1;
    for (std::uint32_t k = 0; k <= n[i]; ++k, chance *= static_cast<double>(streams[i].acceptance))
      tokens += chance;
    rows += 1 + n[i];
  }
  return tokens / (1 + (rows - 1) * row_cost);
}

}  // namespace

TEST_CASE("guesses are tried where they pay: no other choice gives more tokens for the time", "[batching]") {
  random_stream random(5);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::vector<batch_sequence> streams;
    for (std::uint64_t id = 1; id <= 1 + random.below(3); ++id) {
      streams.push_back(decoding(id, 40));
      streams.back().n_guessed = static_cast<std::uint32_t>(random.below(5));
      streams.back().acceptance = static_cast<float>(random.unit());
    }
    const auto row_cost = static_cast<float>(0.05 + 0.9 * random.unit());
    const auto plan = fcfs_batching{}.plan(streams, {.blocks_free = 100, .row_cost = row_cost});
    REQUIRE(plan.grants.size() == streams.size());
    std::vector<std::uint32_t> chosen;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      REQUIRE(plan.grants[i].n_tokens >= 1);
      REQUIRE(plan.grants[i].n_tokens <= 1 + streams[i].n_guessed);
      chosen.push_back(plan.grants[i].n_tokens - 1);
    }
    std::vector<std::uint32_t> other(streams.size(), 0);
    double best = 0;
    for (bool more = true; more;) {
      best = std::max(best, rate(streams, other, static_cast<double>(row_cost)));
      more = false;
      for (std::size_t i = 0; i < other.size() && !more; ++i) {
        more = other[i] < streams[i].n_guessed;
        other[i] = more ? other[i] + 1 : 0;
      }
    }
    REQUIRE(rate(streams, chosen, static_cast<double>(row_cost)) >= best * (1 - 1e-5));
  }
}

TEST_CASE("guesses take no block and no budget from anybody's next token", "[batching]") {
  std::vector<batch_sequence> streams{decoding(1, 48), decoding(2, 48), waiting(3, 40)};
  streams[0].n_guessed = streams[1].n_guessed = 8;
  streams[0].acceptance = streams[1].acceptance = 1.0f;
  const auto none_free = fcfs_batching{}.plan(streams, {.blocks_free = 0, .row_cost = 0.1f});
  CHECK(none_free.preempt.empty());
  CHECK(none_free.grants == std::vector<batch_grant>{{sequence_id{1}, 1}, {sequence_id{2}, 1}});
  const auto narrow = fcfs_batching{}.plan(streams, {.blocks_free = 10, .max_batched_tokens = 3, .row_cost = 0.1f});
  CHECK(narrow.grants == std::vector<batch_grant>{{sequence_id{1}, 2}, {sequence_id{2}, 1}});
}
