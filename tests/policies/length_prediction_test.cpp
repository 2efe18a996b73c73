#include "policies/length_prediction.hpp"

#include "base/normal.hpp"
#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

using namespace troupe;
using namespace troupe::policies;

namespace {

// A workload of kinds, each lognormal around its own median, that grows with the prompt.
struct workload {
  random_stream random{42};
  std::vector<double> medians{20, 150, 600};

  struct answer {
    length_features of;
    std::uint32_t length;
  };
  answer next(double drift = 1) {
    const std::uint64_t kind = random.below(medians.size());
    const auto prompt = static_cast<std::uint32_t>(16 << random.below(6));
    const double length = drift * medians[kind] * std::pow(prompt / 64.0, 0.3) * std::exp(0.7 * draw_normal(random));
    return {{.prompt_tokens = prompt, .kind = kind + 1}, static_cast<std::uint32_t>(std::max(1.0, length))};
  }
};

}  // namespace

TEST_CASE("as many answers as asked are within the prediction", "[length_prediction]") {
  for (const double quantile : length_histogram::standard_quantiles) {
    CAPTURE(quantile);
    constexpr int seeds = 8, n = 1'000;
    int within = 0;  // of answers that were not learnt
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      length_histogram lengths;
      workload work{random_stream(seed)};
      for (int i = 0; i < 1'000; ++i) {
        const auto [of, length] = work.next();
        lengths.learn(of, length);
      }
      CHECK(std::abs(lengths.coverage(quantile) - quantile) <= 0.03);
      for (int i = 0; i < n; ++i) {
        const auto [of, length] = work.next();
        within += length <= lengths.predict_left(of, 0, quantile);
      }
    }
    CHECK(std::abs(within / double{seeds * n} - quantile) <= 0.02);
  }
}

TEST_CASE("an answer's prediction given what is drawn holds for the answers that got so far", "[length_prediction]") {
  length_histogram lengths;
  workload work;
  for (int i = 0; i < 3'000; ++i) {
    const auto [of, length] = work.next();
    lengths.learn(of, length);
  }
  for (const std::uint32_t drawn : {10u, 100u, 400u})
    for (const double quantile : {0.5, 0.9}) {
      CAPTURE(drawn, quantile);
      int longer = 0, within = 0;
      workload others = work;
      for (int i = 0; i < 8'000; ++i) {
        const auto [of, length] = others.next();
        if (length <= drawn) continue;
        ++longer;
        within += length - drawn <= lengths.predict_left(of, drawn, quantile);
      }
      CHECK(std::abs(within / static_cast<double>(longer) - quantile) <= 0.05);
    }
}

TEST_CASE("a kind that was never seen is predicted as all are", "[length_prediction]") {
  length_histogram lengths;
  workload work;
  std::vector<std::uint32_t> all;
  for (int i = 0; i < 2'000; ++i) {
    const auto [of, length] = work.next();
    lengths.learn(of, length);
    all.push_back(length);
  }
  std::sort(all.begin(), all.end());
  const double median = all[all.size() / 2];
  CHECK(std::abs(lengths.predict_left({.prompt_tokens = 64, .kind = 999}, 0, 0.5) - median) <= 0.2 * median);
  // A kind with one answer hardly differs from all, one with many does.
  lengths.learn({.prompt_tokens = 64, .kind = 999}, 5'000);
  CHECK(lengths.predict_left({.prompt_tokens = 64, .kind = 999}, 0, 0.5) < 2 * median);
  CHECK(std::abs(lengths.predict_left({.prompt_tokens = 64, .kind = 1}, 0, 0.5) - 20) <= 0.25 * 20);
  CHECK(std::abs(lengths.predict_left({.prompt_tokens = 64, .kind = 3}, 0, 0.5) - 600) <= 0.25 * 600);
}

TEST_CASE("before any answer there is a wide guess, and a prediction is never below 1 or past the end",
          "[length_prediction]") {
  const length_histogram lengths;
  CHECK(lengths.coverage(0.9) == 0.9);
  CHECK(std::abs(lengths.predict_left({}, 0, 0.5) - 128) <= 0.3 * 128);
  CHECK(lengths.predict_left({.max_tokens = 50}, 0, 0.95) == 50);
  CHECK(lengths.predict_left({.max_tokens = 50}, 49, 0.95) == 1);
  CHECK(lengths.predict_left({.max_tokens = 50}, 60, 0.95) == 1);
  for (const std::uint32_t drawn : {0u, 1u, 1'000u, 131'072u, 4'000'000'000u})
    for (const double quantile : {-1.0, 0.0, 0.5, 1.0, 2.0}) {
      const double left = lengths.predict_left({}, drawn, quantile);
      CHECK(std::isfinite(left));
      CHECK(left >= 1);
    }
  double before = 0;
  for (double quantile = 0.05; quantile < 1; quantile += 0.05) {
    const double left = lengths.predict_left({}, 10, quantile);
    CHECK(left >= before);
    before = left;
  }
}

TEST_CASE("it forgets: predictions follow a workload that changes", "[length_prediction]") {
  length_histogram lengths({.memory = 200});
  workload work;
  for (int i = 0; i < 4'000; ++i) {
    const auto [of, length] = work.next(i < 2'000 ? 1 : 4);
    lengths.learn(of, length);
  }
  CHECK(std::abs(lengths.predict_left({.prompt_tokens = 64, .kind = 2}, 0, 0.5) - 600) <= 0.25 * 600);
}

TEST_CASE("kinds are bounded, the one not learnt for longest goes", "[length_prediction]") {
  length_histogram lengths({.max_kinds = 8});
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    lengths.learn({.prompt_tokens = 64, .kind = 1}, 7);
    lengths.learn({.prompt_tokens = static_cast<std::uint32_t>(i * i), .kind = 2 + i}, 500);
    REQUIRE(lengths.kinds() <= 8);
  }
  CHECK(std::abs(lengths.predict_left({.prompt_tokens = 64, .kind = 1}, 0, 0.5) - 7) <= 1.5);
}
