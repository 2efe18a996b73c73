#include "kernels/ops/softmax.hpp"

#include "catch.hpp"
#include "inputs.hpp"
#include "kernels/table.hpp"
#include "tables.hpp"

#include <limits>

using namespace troupe;
using namespace troupe::kernels;

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
}  // namespace

TEST_CASE("argmax is the lowest index among the largest, and a NaN never wins", "[softmax]") {
  for (const table* kernels : tested_tables()) {
    CAPTURE(kernels->isa);
    CHECK(kernels->argmax(nullptr, 0) == 0);
    for (std::size_t n = 1; n <= 100; ++n) {
      for (std::size_t at = 0; at < n; ++at) {
        std::vector<float> x(n, -1.0f);
        x[at] = 2.0f;
        if (at + 3 < n) x[at + 3] = 2.0f;
        REQUIRE(kernels->argmax(x.data(), n) == at);
        for (std::size_t i = 0; i < n; i += 2)
          if (i != at) x[i] = nan_value;
        REQUIRE(kernels->argmax(x.data(), n) == at);
        x.assign(n, nan_value);
        REQUIRE(kernels->argmax(x.data(), n) == 0);
        x[at] = -infinity;
        REQUIRE(kernels->argmax(x.data(), n) == at);
        x[n - 1] = infinity;
        REQUIRE(kernels->argmax(x.data(), n) == n - 1);
      }
    }
    const std::vector<float> zeros = {-0.0f, 0.0f};
    CHECK(kernels->argmax(zeros.data(), 2) == 0);
  }
}

TEST_CASE("log_sum_exp stays within its error bound", "[softmax]") {
  for (const table* kernels : tested_tables()) {
    for (const std::size_t n : {1u, 2u, 7u, 8u, 9u, 100u, 49152u}) {
      for (const float size : {0.0f, 1.0f, 10.0f, 1000.0f}) {
        CAPTURE(kernels->isa, n, size);
        random_stream random(n);
        const std::vector<float> x = random_floats(random, n, size);
        const float expected = reference().log_sum_exp(x.data(), n);
        CHECK(std::abs(double{kernels->log_sum_exp(x.data(), n)} - double{expected}) <=
              log_sum_exp_absolute_error + std::abs(expected) * 0x1p-23);
      }
    }
  }
}

TEST_CASE("log_sum_exp of infinities and NaNs", "[softmax]") {
  for (const table* kernels : tested_tables()) {
    CAPTURE(kernels->isa);
    CHECK(kernels->log_sum_exp(nullptr, 0) == -infinity);
    for (std::size_t n = 1; n < 40; ++n) {
      std::vector<float> x(n, -infinity);
      CHECK(kernels->log_sum_exp(x.data(), n) == -infinity);
      x[n / 2] = 3.0f;
      CHECK(kernels->log_sum_exp(x.data(), n) == 3.0f);
      x[n - 1] = infinity;
      CHECK(kernels->log_sum_exp(x.data(), n) == infinity);
      x[0] = nan_value;
      CHECK(std::isnan(kernels->log_sum_exp(x.data(), n)));
      x[n - 1] = -infinity;
      x[0] = nan_value;
      CHECK(std::isnan(kernels->log_sum_exp(x.data(), n)));
    }
  }
}
