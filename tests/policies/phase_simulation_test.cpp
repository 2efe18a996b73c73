#include "policies/phase_simulation.hpp"

#include "approximately.hpp"
#include "base/random.hpp"
#include "catch.hpp"
#include "policies/goodput.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>

using namespace troupe;
using namespace troupe::policies;

namespace {

/// Prompts cost 1 ms a token and are never batched; a decoding step costs 10 ms and 1 ms a sequence.
step_cost plain_cost() {
  return {.prompt = {0, 1, 0}, .decoding = {10, 0, 1}};
}

simulated_instance plain_instance() {
  return {.cost = plain_cost(), .max_batched_tokens = 1};
}

double mean_ttft_s(const simulated_unit& unit, double rate, std::uint32_t prompt_tokens) {
  const std::vector<request_lengths> lengths{{prompt_tokens, 1}};
  const auto outcome = simulate_unit(unit, sample_requests(lengths, rate, 400'000, 7));
  double sum = 0;
  for (const auto& timing : outcome.requests)
    sum += timing.ttft_s;
  return sum / static_cast<double>(outcome.requests.size());
}

}  // namespace

TEST_CASE("prompts wait as queueing theory says", "[phase_simulation]") {
  const double d = 0.1;  // s: 100 tokens of 1 ms
  const double rate = GENERATE(2.0, 5.0, 8.0);
  simulated_unit unit{.kind = unit_kind::prefill_only, .prefill = plain_instance()};
  INFO("rate " << rate);
  SECTION("one instance: M/D/1") {
    CHECK(mean_ttft_s(unit, rate, 100) == approximately(d + rate * d * d / (2 * (1 - rate * d))).epsilon(0.03));
  }
  SECTION("a pipeline of two stages") {
    unit.prefill.pp = 2;
    CHECK(mean_ttft_s(unit, rate, 100) == approximately(d + rate * d * d / (4 * (2 - rate * d))).epsilon(0.03));
  }
  SECTION("split over GPUs with a speed-up of K") {
    const double k = 1.6;
    unit.prefill.cost.prompt.per_token_ms /= k;
    CHECK(mean_ttft_s(unit, rate, 100) == approximately(d / k + rate * d * d / (2 * k * (k - rate * d))).epsilon(0.03));
  }
}

TEST_CASE("a lone request takes what its steps take", "[phase_simulation]") {
  const std::vector<simulated_request> one{{1.0, 100, 5}};
  for (const auto kind : {unit_kind::disaggregated, unit_kind::prefill_first, unit_kind::chunked_prefill}) {
    const simulated_unit unit{.kind = kind, .prefill = plain_instance(), .decode = plain_instance(), .chunk_tokens = 8};
    const auto outcome = simulate_unit(unit, one);
    INFO(to_string(kind));
    CHECK(outcome.requests[0].ttft_s == approximately(0.1));
    CHECK(outcome.requests[0].tpot_s == approximately(0.011));
    CHECK(outcome.tokens == 105);
  }
  // The transfer is in the gap before the second token: 100 tokens of 10 bytes at 1,000 bytes/s.
  const auto moved = simulate_unit({.kind = unit_kind::disaggregated,
                                    .prefill = plain_instance(),
                                    .decode = plain_instance(),
                                    .kv_bytes_per_token = 10,
                                    .kv_bytes_per_s = 1000},
                                   one);
  CHECK(moved.requests[0].ttft_s == approximately(0.1));
  CHECK(moved.requests[0].tpot_s == approximately((1.0 + 4 * 0.011) / 4));
}

TEST_CASE("prompts hold up decoding, chunks bound by how much", "[phase_simulation]") {
  // The second prompt arrives while the first request decodes.
  const std::vector<simulated_request> two{{0.0, 100, 11}, {0.15, 1000, 1}};
  simulated_unit unit{.kind = unit_kind::prefill_first, .prefill = plain_instance(), .chunk_tokens = 20};
  CHECK(simulate_unit(unit, two).requests[0].tpot_s == approximately((1.0 + 10 * 0.011) / 10));
  unit.kind = unit_kind::chunked_prefill;
  const auto chunked = simulate_unit(unit, two);
  CHECK(chunked.requests[0].tpot_s < 0.031);
  CHECK(chunked.requests[0].tpot_s > 0.011);
  // While it decodes, each 20 tokens of the prompt come with 11 ms of decoding: ~5 steps are left to do.
  CHECK(chunked.requests[1].ttft_s == approximately(1.05).margin(0.02));
}

TEST_CASE("decoding in a pipeline keeps its latency and multiplies its throughput", "[phase_simulation]") {
  // 32 sequences of 1,000 tokens at once: in one batch a step takes 42 ms, in two of 16 each takes 26 ms.
  std::vector<simulated_request> many(32, {0.0, 10, 1001});
  simulated_unit unit{.kind = unit_kind::decode_only, .decode = plain_instance()};
  CHECK(simulate_unit(unit, many).requests[31].tpot_s == approximately(0.042).epsilon(0.01));
  unit.decode.pp = 2;
  CHECK(simulate_unit(unit, many).requests[31].tpot_s == approximately(0.026).epsilon(0.01));
}

TEST_CASE("activations take their way between stages, which stages do not wait for", "[phase_simulation]") {
  simulated_unit unit{.kind = unit_kind::prefill_only, .prefill = plain_instance()};
  unit.prefill.pp = 2;
  unit.prefill.hop_ms_per_token = 0.5;
  // 50 ms in each stage and 50 ms between them; the second prompt enters as the first leaves the first stage.
  const std::vector<simulated_request> two{{0.0, 100, 1}, {0.0, 100, 1}};
  const auto outcome = simulate_unit(unit, two);
  CHECK(outcome.requests[0].ttft_s == approximately(0.150));
  CHECK(outcome.requests[1].ttft_s == approximately(0.200));
}

TEST_CASE("a simulation ends at its limit of misses, and only there", "[phase_simulation]") {
  const std::vector<request_lengths> lengths{{100, 20}, {300, 5}};
  const auto requests = sample_requests(lengths, 4, 2000, 5);
  const simulated_unit unit{.kind = unit_kind::disaggregated, .prefill = plain_instance(), .decode = plain_instance()};
  const latency_targets targets{0.5, 0.013};
  const auto whole = simulate_unit(unit, requests);
  CHECK_FALSE(whole.stopped);
  const auto missed = static_cast<std::uint64_t>(std::lround(2000 * (1 - summarise(whole.requests, targets).joint)));
  REQUIRE(missed > 100);
  const auto at_limit = simulate_unit(unit, requests, {targets.ttft_s, targets.tpot_s, missed});
  CHECK_FALSE(at_limit.stopped);
  CHECK(at_limit.steps == whole.steps);
  const auto past_limit = simulate_unit(unit, requests, {targets.ttft_s, targets.tpot_s, missed - 1});
  CHECK(past_limit.stopped);
  CHECK(past_limit.steps <= whole.steps);
  CHECK(simulate_unit(unit, requests, {targets.ttft_s, targets.tpot_s, 10}).steps < whole.steps / 2);
}

TEST_CASE("a request that can never fit is rejected, and holds nobody up", "[phase_simulation]") {
  const std::vector<simulated_request> three{{0.0, 50, 10}, {0.0, 500, 10}, {0.0, 50, 10}};
  for (const auto kind :
       {unit_kind::decode_only, unit_kind::disaggregated, unit_kind::prefill_first, unit_kind::chunked_prefill}) {
    simulated_unit unit{.kind = kind, .prefill = plain_instance(), .decode = plain_instance()};
    unit.decode.kv_tokens = 200;
    if (kind != unit_kind::disaggregated) unit.prefill.kv_tokens = 200;
    const auto outcome = simulate_unit(unit, three);
    INFO(to_string(kind));
    CHECK_FALSE(outcome.requests[0].rejected);
    CHECK(outcome.requests[1].rejected);
    CHECK_FALSE(outcome.requests[2].rejected);
    CHECK(outcome.requests[2].tpot_s > 0);
  }
}

TEST_CASE("short of memory, the newest is set aside and everything still ends", "[phase_simulation]") {
  const std::vector<request_lengths> lengths{{50, 100}, {150, 20}, {20, 1}, {90, 60}};
  for (const auto kind : {unit_kind::prefill_only, unit_kind::decode_only, unit_kind::disaggregated,
                          unit_kind::prefill_first, unit_kind::chunked_prefill})
    for (const std::uint32_t pp : {1u, 3u})
      for (const double share : {0.05, 1.0}) {
        simulated_unit unit{.kind = kind, .prefill = plain_instance(), .n_prefill = 2, .decode = plain_instance()};
        unit.prefill.pp = unit.decode.pp = pp;
        unit.prefill.kv_tokens = unit.decode.kv_tokens = 200;
        unit.chunk_tokens = 16;
        unit.waiting_share = share;
        const auto outcome = simulate_unit(unit, sample_requests(lengths, 20, 2000, 3));
        INFO(to_string(kind) << " pp " << pp << " share " << share);
        for (const auto& timing : outcome.requests)
          REQUIRE((timing.ttft_s > 0 || kind == unit_kind::decode_only));
        if (kind == unit_kind::decode_only || kind == unit_kind::prefill_first) CHECK(outcome.set_aside > 0);
        CHECK(outcome.peak_waiting_tokens <= 200);
      }
}

TEST_CASE("the rule of 5 % keeps pulled requests from filling the decode instance", "[phase_simulation]") {
  const std::vector<request_lengths> lengths{{200, 100}};
  simulated_unit unit{.kind = unit_kind::disaggregated, .prefill = plain_instance(), .decode = plain_instance()};
  unit.decode.kv_tokens = 4000;
  unit.decode.max_sequences = 4;
  const auto requests = sample_requests(lengths, 4, 500, 1);
  const auto with = simulate_unit(unit, requests);
  unit.waiting_share = 1.0;
  const auto without = simulate_unit(unit, requests);
  CHECK(with.peak_waiting_tokens <= 400);  // less than 200 held, then one more
  CHECK(without.peak_waiting_tokens > 4 * with.peak_waiting_tokens);
}

TEST_CASE("the same requests give the same outcome, and instances share them", "[phase_simulation]") {
  const std::vector<request_lengths> lengths{{100, 20}, {300, 5}};
  const auto requests = sample_requests(lengths, 12, 2000, 5);
  simulated_unit unit{.kind = unit_kind::disaggregated, .prefill = plain_instance(), .decode = plain_instance()};
  const auto mean = [](const unit_outcome& outcome) {
    double sum = 0;
    for (const auto& timing : outcome.requests)
      sum += timing.ttft_s;
    return sum / static_cast<double>(outcome.requests.size());
  };
  unit.n_prefill = 3;
  const auto once = simulate_unit(unit, requests), again = simulate_unit(unit, requests);
  CHECK(mean(once) == mean(again));
  CHECK(once.steps == again.steps);
  unit.n_prefill = 4;
  CHECK(mean(simulate_unit(unit, requests)) < mean(once));
}

TEST_CASE("a million tokens a second at least", "[phase_simulation]") {
  const std::vector<request_lengths> lengths{{550, 35}, {300, 80}, {800, 20}};
  simulated_unit unit{.kind = GENERATE(unit_kind::disaggregated, unit_kind::chunked_prefill),
                      .prefill = plain_instance(),
                      .decode = plain_instance(),
                      .chunk_tokens = 16};
  const auto requests = sample_requests(lengths, 1.2, 50'000, 1);
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = simulate_unit(unit, requests);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::uint64_t drawn = 0;
  for (const auto& request : requests)
    drawn += request.output_tokens;
  std::cout << to_string(unit.kind) << ": " << static_cast<double>(outcome.steps) / took.count() / 1e6
            << " million steps/s, " << static_cast<double>(drawn) / took.count() / 1e6 << " million drawn tokens/s\n";
  CHECK(static_cast<double>(drawn) / took.count() > 1e5);  // a tenth: machines under load and sanitizers
}
