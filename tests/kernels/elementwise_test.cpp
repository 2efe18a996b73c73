// Every table's rms_norm, layer_norm, rope, silu_mul, gelu_mul, gelu and add against the reference, and what of them
// must not depend on neighbours.
#include "catch.hpp"
#include "inputs.hpp"
#include "kernels/ops/add.hpp"
#include "kernels/ops/gelu.hpp"
#include "kernels/ops/gelu_mul.hpp"
#include "kernels/ops/layer_norm.hpp"
#include "kernels/ops/rms_norm.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/ops/silu_mul.hpp"
#include "kernels/table.hpp"
#include "tables.hpp"

#include <limits>

using namespace troupe;
using namespace troupe::kernels;

TEST_CASE("rms_norm stays within its error bound", "[rms_norm]") {
  for (const table* kernels : tested_tables()) {
    for (const std::uint32_t n : {1u, 7u, 8u, 31u, 32u, 100u, 576u, 4096u}) {
      for (const float size : {1e-12f, 1.0f, 1e15f}) {
        CAPTURE(kernels->isa, n, size);
        random_stream random(n);
        std::vector<float> x = random_floats(random, n, size);
        const std::vector<float> weight = random_floats(random, n);
        std::vector<float> expected(n);
        reference().rms_norm(x.data(), weight.data(), n, 1e-5f, expected.data());
        std::vector<float> y(n);
        kernels->rms_norm(x.data(), weight.data(), n, 1e-5f, y.data());
        for (std::uint32_t i = 0; i < n; ++i)
          REQUIRE(std::abs(double{y[i]} - double{expected[i]}) <=
                  (rms_norm_relative_error(n) + 0x1p-23) * std::abs(expected[i]));
        kernels->rms_norm(x.data(), weight.data(), n, 1e-5f, x.data());
        CHECK(same_bits(x, y));  // in place
      }
    }
  }
}

TEST_CASE("layer_norm stays within its error bound", "[layer_norm]") {
  for (const table* kernels : tested_tables()) {
    for (const std::uint32_t n : {1u, 7u, 8u, 31u, 32u, 100u, 384u, 4096u}) {
      for (const auto& [size, offset] : {std::pair{1e-12f, 0.0f}, {1.0f, 0.0f}, {1.0f, 100.0f}, {1e15f, 1e15f}}) {
        CAPTURE(kernels->isa, n, size, offset);
        constexpr float epsilon = 1e-12f;
        random_stream random(n);
        std::vector<float> x = random_floats(random, n, size);
        for (float& value : x)
          value += offset;
        const std::vector<float> weight = random_floats(random, n);
        const std::vector<float> bias = random_floats(random, n);
        double mean = 0, variance = 0, largest = 0;
        for (const float value : x)
          mean += double{value} / n;
        for (const float value : x) {
          variance += (value - mean) * (value - mean) / n;
          largest = std::max(largest, std::abs(double{value}));
        }
        const double deviation = std::sqrt(variance + double{epsilon});
        std::vector<float> y(n);
        kernels->layer_norm(x.data(), weight.data(), bias.data(), n, epsilon, y.data());
        for (std::uint32_t i = 0; i < n; ++i) {
          const double normed = (x[i] - mean) / deviation;
          const double bound = layer_norm_error_bound(n, normed, std::abs(double{weight[i]}), std::abs(double{bias[i]}),
                                                      largest / deviation);
          REQUIRE(std::abs(y[i] - (normed * double{weight[i]} + double{bias[i]})) <= bound);
        }
        kernels->layer_norm(x.data(), weight.data(), bias.data(), n, epsilon, x.data());
        CHECK(same_bits(x, y));  // in place
      }
    }
  }
}

TEST_CASE("rope stays within its error bound", "[rope]") {
  for (const table* kernels : tested_tables()) {
    for (const rope_pairing pairing : {rope_pairing::adjacent, rope_pairing::halves}) {
      for (const std::uint32_t head_dim : {2u, 6u, 8u, 12u, 16u, 20u, 64u, 80u, 128u}) {
        CAPTURE(kernels->isa, head_dim, pairing == rope_pairing::adjacent);
        random_stream random(head_dim);
        std::vector<float> turn(head_dim);
        for (std::uint32_t i = 0; i < head_dim / 2; ++i) {
          turn[2 * i] = static_cast<float>(std::cos(0.7 * i + 1));
          turn[2 * i + 1] = static_cast<float>(std::sin(0.7 * i + 1));
        }
        const std::vector<float> x = random_floats(random, 3 * head_dim);
        std::vector<float> expected = x;
        std::vector<float> y = x;
        reference().rope(expected.data(), 3, head_dim, pairing, turn.data());
        kernels->rope(y.data(), 3, head_dim, pairing, turn.data());
        for (std::size_t i = 0; i < y.size(); ++i) {
          const std::size_t in_head = i % head_dim;
          const std::size_t partner =
              pairing == rope_pairing::adjacent ? in_head ^ 1 : (in_head + head_dim / 2) % head_dim;
          const double size = std::abs(double{x[i]}) + std::abs(double{x[i - in_head + partner]});
          REQUIRE(std::abs(double{y[i]} - double{expected[i]}) <= (rope_relative_error + 0x1p-24) * size);
        }
      }
    }
  }
}

namespace {

using gated = void (*)(const float* gate, const float* up, std::size_t n, float* y);

/// Over gates of all sizes; relative_error(gate) and absolute_error are the operation's own.
template <class RelativeError>
void check_gated(gated table::*operation, const RelativeError& relative_error, double absolute_error) {
  std::vector<float> gate;
  for (int i = -12000; i <= 12000; ++i)
    gate.push_back(static_cast<float>(i) * 0.01f);
  gate.insert(gate.end(), {0.0f, -0.0f, 1e-30f, -1e-30f, 3e38f, -3e38f, -87.3f, -88.8f, -104.5f});
  random_stream random(3);
  const std::vector<float> up = random_floats(random, gate.size());
  std::vector<float> expected(gate.size());
  (reference().*operation)(gate.data(), up.data(), gate.size(), expected.data());
  for (const table* kernels : tested_tables()) {
    std::vector<float> y(gate.size());
    (kernels->*operation)(gate.data(), up.data(), gate.size(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      CAPTURE(kernels->isa, gate[i], up[i], y[i], expected[i]);
      if (std::isinf(expected[i])) {
        REQUIRE(y[i] == expected[i]);
        continue;
      }
      REQUIRE(std::abs(double{y[i]} - double{expected[i]}) <=
              (relative_error(double{gate[i]}) + 0x1p-24) * std::abs(expected[i]) + absolute_error * std::abs(up[i]));
    }
  }
}

}  // namespace

TEST_CASE("silu_mul stays within its error bound", "[silu_mul]") {
  check_gated(
      &table::silu_mul, [](double) { return silu_mul_relative_error; }, silu_mul_absolute_error);
}

TEST_CASE("gelu_mul stays within its error bound", "[gelu_mul]") {
  check_gated(&table::gelu_mul, gelu_mul_relative_error, gelu_mul_absolute_error);
  // tanh's form, as it is usually written.
  const float gate[] = {-3.0f, -0.5f, 0.0f, 0.25f, 1.0f, 4.0f};
  const float ones[] = {1, 1, 1, 1, 1, 1};
  float y[6];
  reference().gelu_mul(gate, ones, 6, y);
  for (int i = 0; i < 6; ++i) {
    const double x = gate[i];
    const double gelu = 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    CHECK(std::abs(y[i] - gelu) < 1e-6);
  }
}

TEST_CASE("gelu stays within its error bound, in place too", "[gelu]") {
  std::vector<float> x;
  for (int i = -20000; i <= 20000; ++i)
    x.push_back(static_cast<float>(i) * 0.001f);
  x.insert(x.end(), {0.0f, -0.0f, 1e-30f, -1e-30f, 3e38f, -3e38f, -13.3f, -14.5f});
  for (const table* kernels : tested_tables()) {
    std::vector<float> y(x.size());
    kernels->gelu(x.data(), x.size(), y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = double{x[i]} * 0.5 * std::erfc(-double{x[i]} / std::sqrt(2.0));
      CAPTURE(kernels->isa, x[i], y[i], exact);
      REQUIRE(std::abs(y[i] - exact) <=
              gelu_relative_error(double{x[i]}) * std::abs(exact) + gelu_absolute_error * std::abs(x[i]));
    }
    std::vector<float> in_place = x;
    kernels->gelu(in_place.data(), x.size(), in_place.data());
    CHECK(same_bits(in_place, y));
  }
}

TEST_CASE("an element of silu_mul, gelu_mul, gelu and add does not depend on where a row is cut", "[add][rule5]") {
  constexpr std::size_t n = 77;
  random_stream random(4);
  const std::vector<float> gate = random_floats(random, n, 3.0f);
  const std::vector<float> up = random_floats(random, n);
  std::vector<float> sum_expected = up;
  reference().add(gate.data(), n, sum_expected.data());
  for (const table* kernels : tested_tables()) {
    std::vector<float> whole(n), whole_gelu(n), whole_exact(n);
    kernels->gelu(gate.data(), n, whole_exact.data());
    kernels->silu_mul(gate.data(), up.data(), n, whole.data());
    kernels->gelu_mul(gate.data(), up.data(), n, whole_gelu.data());
    for (std::size_t cut = 0; cut <= n; ++cut) {
      CAPTURE(kernels->isa, cut);
      std::vector<float> parts(n);
      kernels->silu_mul(gate.data(), up.data(), cut, parts.data());
      kernels->silu_mul(gate.data() + cut, up.data() + cut, n - cut, parts.data() + cut);
      REQUIRE(same_bits(parts, whole));
      kernels->gelu_mul(gate.data(), up.data(), cut, parts.data());
      kernels->gelu_mul(gate.data() + cut, up.data() + cut, n - cut, parts.data() + cut);
      REQUIRE(same_bits(parts, whole_gelu));
      kernels->gelu(gate.data(), cut, parts.data());
      kernels->gelu(gate.data() + cut, n - cut, parts.data() + cut);
      REQUIRE(same_bits(parts, whole_exact));
      std::vector<float> sum = up;
      kernels->add(gate.data(), cut, sum.data());
      kernels->add(gate.data() + cut, n - cut, sum.data() + cut);
      REQUIRE(same_bits(sum, sum_expected));
    }
  }
}
