// The sampler against the same steps written down naively, against exact probabilities, and against hostile logits.
#include "runtime/sampling/sampler.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "plain_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

using namespace troupe;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Bias, penalties and suppression from the token lists themselves.
std::vector<double> naive_adjust(const std::vector<float>& logits, const sampling_params& p,
                                 const std::vector<token_id>& prompt, const std::vector<token_id>& output,
                                 const std::vector<token_id>& suppressed) {
  std::vector<double> x(logits.begin(), logits.end());
  const auto count = [](const std::vector<token_id>& in, std::size_t id) {
    return static_cast<double>(std::count(in.begin(), in.end(), static_cast<token_id>(id)));
  };
  for (const auto& [token, bias] : p.logit_bias)
    x[static_cast<std::size_t>(token)] += bias;
  for (std::size_t id = 0; id < x.size(); ++id) {
    const double n_output = count(output, id);
    if (n_output + count(prompt, id) > 0)
      x[id] = x[id] > 0 ? x[id] / p.repetition_penalty : x[id] * p.repetition_penalty;
    x[id] -= p.frequency_penalty * n_output + p.presence_penalty * (n_output > 0 ? 1 : 0);
    if (count(suppressed, id) > 0) x[id] = -infinity;
  }
  return x;
}

// Exact probabilities after every filter, by sorting everything.
std::vector<double> naive_probabilities(const std::vector<double>& logits, const sampling_params& p) {
  std::vector<std::size_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), std::size_t{0});
  std::stable_sort(ids.begin(), ids.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  std::vector<double> weight(logits.size());
  for (const auto id : ids) {
    weight[id] = std::exp((logits[id] - logits[ids[0]]) / p.temperature);
    if (weight[id] < p.min_p) weight[id] = 0;
  }
  for (std::size_t k = 0; k < ids.size(); ++k)
    if (p.top_k > 0 && k >= static_cast<std::size_t>(p.top_k)) weight[ids[k]] = 0;
  const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
  double kept = 0;
  for (const auto id : ids) {
    if (kept >= p.top_p * sum) weight[id] = 0;
    kept += weight[id];
  }
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  for (double& w : weight)
    w /= total;
  return weight;
}

// The interval of each token in the order of candidates, then the token that holds u.
token_id naive_draw(const std::vector<double>& logits, const std::vector<double>& probability, double u) {
  std::vector<std::size_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), std::size_t{0});
  std::stable_sort(ids.begin(), ids.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  double sum = 0;
  for (const auto id : ids) {
    sum += probability[id];
    if (u < sum) return static_cast<token_id>(id);
  }
  return -1;
}

// 99.9th percentile of chi-square by Wilson and Hilferty's approximation.
double chi_square_bound(double freedom) {
  const double a = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1 - a + 3.09 * std::sqrt(a), 3);
}

}  // namespace

TEST_CASE("draws follow the exact probabilities after each filter", "[sampling][sampler]") {
  const std::vector<float> logits{1.2f, -0.5f, 2.0f, 2.0f, 0.3f, -3.0f, 1.9f, 0.0f};
  sampler draw(test::plain_table(), 8);
  struct filters {
    float temperature, top_p, min_p;
    std::int32_t top_k;
  };
  for (const auto& f : {filters{1.0f, 1.0f, 0.0f, 0}, filters{0.8f, 0.95f, 0.0f, 0}, filters{1.5f, 1.0f, 0.0f, 3},
                        filters{1.0f, 1.0f, 0.3f, 0}, filters{2.0f, 0.7f, 0.1f, 5}, filters{0.3f, 0.5f, 0.0f, 0},
                        filters{1.0f, 1e-6f, 0.0f, 0}, filters{1.0f, 1.0f, 0.0f, 100}}) {
    sampling_params p;
    p.temperature = f.temperature, p.top_p = f.top_p, p.min_p = f.min_p, p.top_k = f.top_k, p.seed = 11;
    CAPTURE(f.temperature, f.top_p, f.min_p, f.top_k);
    const auto exact = naive_probabilities({logits.begin(), logits.end()}, p);
    constexpr int n_draws = 40'000;
    std::vector<double> seen(logits.size());
    for (std::uint64_t i = 0; i < n_draws; ++i)
      ++seen[static_cast<std::size_t>(draw.draw(logits, p, {.output_index = i}))];
    double chi_square = 0, freedom = -1;
    for (std::size_t id = 0; id < logits.size(); ++id) {
      if (exact[id] == 0) {
        CHECK(seen[id] == 0);
        continue;
      }
      const double expected = exact[id] * n_draws;
      chi_square += (seen[id] - expected) * (seen[id] - expected) / expected;
      ++freedom;
    }
    if (freedom > 0) CHECK(chi_square < chi_square_bound(freedom));
  }
}

TEST_CASE("each draw equals that of a full sort, ties included", "[sampling][sampler]") {
  int n_compared = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    random_stream random(seed);
    const auto n = static_cast<std::uint32_t>(1 + random.below(300));
    std::vector<float> logits(n);
    const double spread = random.unit() * 30;
    const bool ties = random.below(2) == 0;
    for (float& x : logits) {
      x = static_cast<float>((random.unit() - 0.5) * spread);
      if (ties) x = std::round(x);
    }
    sampling_params p;
    p.seed = seed;
    p.temperature = static_cast<float>(0.2 + 2 * random.unit());
    if (random.below(2) == 0) p.top_p = static_cast<float>(0.05 + 0.949 * random.unit());
    if (random.below(2) == 0) p.top_k = static_cast<std::int32_t>(random.below(n + 3));
    if (random.below(3) == 0) p.min_p = static_cast<float>(random.unit() * 0.3);
    CAPTURE(seed, n, spread, ties, p.temperature, p.top_p, p.top_k, p.min_p);

    const std::vector<double> exact_logits(logits.begin(), logits.end());
    const auto exact = naive_probabilities(exact_logits, p);
    sampler draw(test::plain_table(), n);
    for (std::uint64_t index = 0; index < 20; ++index) {
      const double u = random_unit(p.seed, index);
      const token_id expected = naive_draw(exact_logits, exact, u);
      // Single precision moves the ends of the intervals by some 1e-6: a number that close to one belongs to either
      // side.
      if (naive_draw(exact_logits, exact, u - 1e-5) != expected ||
          naive_draw(exact_logits, exact, u + 1e-5) != expected)
        continue;
      REQUIRE(draw.draw(logits, p, {.output_index = index}) == expected);
      ++n_compared;
    }
  }
  CHECK(n_compared > 7'000);
}

TEST_CASE("a whole vocabulary draws as a full sort does", "[sampling][sampler]") {
  constexpr std::uint32_t n = 49'152;
  random_stream random(5);
  std::vector<float> logits(n);
  for (float& x : logits)
    x = static_cast<float>((random.unit() + random.unit() + random.unit() - 1.5) * 12);
  sampling_params p;
  p.temperature = 0.8f, p.top_p = 0.95f, p.seed = 3;
  const std::vector<double> exact_logits(logits.begin(), logits.end());
  const auto exact = naive_probabilities(exact_logits, p);
  sampler draw(test::plain_table(), n);
  int n_compared = 0;
  for (std::uint64_t index = 0; index < 40; ++index) {
    const double u = random_unit(p.seed, index);
    const token_id expected = naive_draw(exact_logits, exact, u);
    if (naive_draw(exact_logits, exact, u - 1e-6) != expected || naive_draw(exact_logits, exact, u + 1e-6) != expected)
      continue;
    CHECK(draw.draw(logits, p, {.output_index = index}) == expected);
    ++n_compared;
  }
  CHECK(n_compared > 20);
}

TEST_CASE("a draw depends on seed, index and logits alone", "[sampling][sampler]") {
  random_stream random(8);
  std::vector<float> logits(500), others(500);
  for (float& x : logits)
    x = static_cast<float>(random.unit() * 5);
  for (float& x : others)
    x = static_cast<float>(random.unit() * 5);
  sampling_params p;
  p.seed = 77, p.top_p = 0.9f;
  sampler draw(test::plain_table(), 500);
  std::vector<token_id> forwards, backwards;
  for (std::uint64_t i = 0; i < 50; ++i)
    forwards.push_back(draw.draw(logits, p, {.output_index = i}));
  for (std::uint64_t i = 50; i-- > 0;) {
    draw.draw(others, p, {.output_index = i});
    backwards.push_back(sampler(test::plain_table(), 500).draw(logits, p, {.output_index = i}));
  }
  std::ranges::reverse(backwards);
  CHECK(forwards == backwards);
  p.seed = 78;
  std::vector<token_id> other_seed;
  for (std::uint64_t i = 0; i < 50; ++i)
    other_seed.push_back(draw.draw(logits, p, {.output_index = i}));
  CHECK(other_seed != forwards);
}

TEST_CASE("bias, penalties and suppression equal the naive form", "[sampling][sampler]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    random_stream random(seed);
    const auto n = static_cast<std::uint32_t>(2 + random.below(40));
    const auto any = [&] { return static_cast<token_id>(random.below(n)); };
    std::vector<float> logits(n);
    for (float& x : logits)
      x = static_cast<float>((random.unit() - 0.5) * 8);
    std::vector<token_id> prompt(random.below(60)), output(random.below(60)), suppressed(random.below(3));
    for (auto* list : {&prompt, &output, &suppressed})
      std::ranges::generate(*list, any);
    sampling_params p;
    p.seed = seed;
    if (random.below(2) == 0) p.repetition_penalty = static_cast<float>(0.5 + random.unit() * 1.5);
    if (random.below(2) == 0) p.frequency_penalty = static_cast<float>(random.unit() * 4 - 2);
    if (random.below(2) == 0) p.presence_penalty = static_cast<float>(random.unit() * 4 - 2);
    for (std::uint64_t i = random.below(4); i > 0; --i)
      p.logit_bias.emplace_back(any(), static_cast<float>(random.unit() * 20 - 10));
    token_history history;
    history.add_prompt(prompt);
    for (const token_id token : output)
      history.add_output(token);
    CAPTURE(seed, n, p.repetition_penalty, p.frequency_penalty, p.presence_penalty);

    const auto exact = naive_adjust(logits, p, prompt, output, suppressed);
    const draw_context context{.output_index = 4, .history = &history, .suppressed = suppressed};
    sampler draw(test::plain_table(), n);
    p.temperature = 0;
    const auto best = static_cast<std::size_t>(draw.draw(logits, p, context));
    CHECK(exact[best] >= *std::ranges::max_element(exact) - 1e-4);

    if (exact[best] == -infinity) {  // everything is suppressed
      CHECK(best == 0);
      continue;
    }
    p.temperature = 1;
    const auto probability = naive_probabilities(exact, p);
    const double u = random_unit(p.seed, 4);
    const token_id expected = naive_draw(exact, probability, u);
    if (naive_draw(exact, probability, u - 1e-4) == expected && naive_draw(exact, probability, u + 1e-4) == expected)
      CHECK(draw.draw(logits, p, context) == expected);
  }
}

TEST_CASE("greedy takes the lowest id among equals", "[sampling][sampler]") {
  sampler draw(test::plain_table(), 5);
  sampling_params p;
  p.temperature = 0;
  const std::vector<float> logits{1.0f, 4.0f, 2.0f, 4.0f, -1.0f};
  CHECK(draw.draw(logits, p, {}) == 1);
  const std::vector<token_id> suppressed{1, 99, -4};
  CHECK(draw.draw(logits, p, {.suppressed = suppressed}) == 3);
  p.logit_bias = {{4, 5.5f}, {1000, 50.0f}, {-1, 50.0f}};
  CHECK(draw.draw(logits, p, {}) == 4);
}

TEST_CASE("hostile logits never leave the vocabulary", "[sampling][sampler]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::array values{nan, infinity, -infinity, 0.0f, 3e38f, -3e38f, 1e-40f};
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    random_stream random(seed);
    const auto n = static_cast<std::uint32_t>(1 + random.below(20));
    std::vector<float> logits(n);
    for (float& x : logits)
      x = values[random.below(values.size())];
    sampling_params p;
    p.seed = seed;
    p.temperature = std::array{0.0f, 1e-30f, 1.0f, 1e30f}[random.below(4)];
    p.top_p = std::array{1e-30f, 0.5f, 1.0f}[random.below(3)];
    p.top_k = static_cast<std::int32_t>(random.below(4)) - 1;
    p.min_p = static_cast<float>(random.below(2));
    CAPTURE(seed, n, p.temperature, p.top_p, p.top_k, p.min_p);
    sampler draw(test::plain_table(), n);
    const token_id token = draw.draw(logits, p, {.output_index = seed});
    REQUIRE(token >= 0);
    REQUIRE(token < static_cast<token_id>(n));
    const bool has_number = std::ranges::any_of(logits, [](float x) { return x > -infinity; });
    if (has_number)
      CHECK(logits[static_cast<std::size_t>(token)] > -infinity);
    else
      CHECK(token == 0);
  }
}

TEST_CASE("a mask of allowed tokens is as good as logits of minus infinity for all others", "[sampling]") {
  random_stream random(11);
  constexpr std::uint32_t n = 150;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::vector<float> logits(n);
    for (float& x : logits)
      x = static_cast<float>(random.below(1000)) / 100.0f;
    std::vector<std::uint64_t> allowed(seed % 3 == 0 ? 2 : 3);  // of two words: ids from 128 on have no bit
    for (std::uint64_t& word : allowed)
      word = random.below(4) == 0 ? ~std::uint64_t{0} : random_bits(seed, random.below(1u << 30));
    std::vector<float> masked = logits;
    for (std::size_t i = 0; i < n; ++i)
      if (i / 64 >= allowed.size() || (allowed[i / 64] >> (i % 64) & 1) == 0) masked[i] = -infinity;
    sampling_params p;
    p.seed = seed;
    p.temperature = seed % 2 ? 1.0f : 0.0f;
    if (seed % 5 == 0) p.top_k = 4;
    sampler draw(test::plain_table(), n);
    CHECK(draw.draw(logits, p, {.output_index = seed, .allowed = allowed}) ==
          draw.draw(masked, p, {.output_index = seed}));
  }
}

TEST_CASE("a history counts each token", "[sampling][token_history]") {
  random_stream random(2);
  token_history history;
  std::map<token_id, std::uint32_t> in_output;
  for (int i = 0; i < 5000; ++i) {
    const auto token = static_cast<token_id>(random.below(700)) * 64 - 100;
    if (random.below(3) == 0) {
      history.add_prompt(std::span(&token, 1));
      in_output[token] += 0;
    } else {
      history.add_output(token);
      ++in_output[token];
    }
  }
  REQUIRE(history.distinct().size() == in_output.size());
  for (const auto& [token, count] : history.distinct())
    CHECK(in_output.at(token) == count);
  history.clear();
  CHECK(history.distinct().empty());
  history.add_output(7);
  CHECK(history.distinct()[0].in_output == 1);
}
