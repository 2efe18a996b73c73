// The plain forms of rms_norm, layer_norm, rope, silu_mul, gelu_mul, gelu and add: each is the formula of its contract,
// in double.
#include "kernels/ops/add.hpp"
#include "kernels/ops/gelu.hpp"
#include "kernels/ops/gelu_mul.hpp"
#include "kernels/ops/layer_norm.hpp"
#include "kernels/ops/rms_norm.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/ops/silu_mul.hpp"

#include <cmath>

namespace troupe::kernels::plain {

void rms_norm(const float* x, const float* weight, std::uint32_t n, float epsilon, float* y) {
  double squares = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    squares += double{x[i]} * double{x[i]};
  const double inverse = 1.0 / std::sqrt(squares / n + double{epsilon});
  for (std::uint32_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(double{x[i]} * inverse * double{weight[i]});
}

void layer_norm(const float* x, const float* weight, const float* bias, std::uint32_t n, float epsilon, float* y) {
  double sum = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    sum += double{x[i]};
  const double mean = sum / n;
  double squares = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    squares += (double{x[i]} - mean) * (double{x[i]} - mean);
  const double inverse = 1.0 / std::sqrt(squares / n + double{epsilon});
  for (std::uint32_t i = 0; i < n; ++i)
    y[i] = static_cast<float>((double{x[i]} - mean) * inverse * double{weight[i]} + double{bias[i]});
}

void rope(float* x, std::uint32_t n_heads, std::uint32_t head_dim, rope_pairing pairing, const float* cosine_sine) {
  const std::uint32_t pairs = head_dim / 2;
  const std::uint32_t step = pairing == rope_pairing::adjacent ? 2 : 1;       // from pair to pair
  const std::uint32_t apart = pairing == rope_pairing::adjacent ? 1 : pairs;  // from a to b
  for (std::uint32_t h = 0; h < n_heads; ++h) {
    float* head = x + std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < pairs; ++i) {
      const double cosine = cosine_sine[2 * i];
      const double sine = cosine_sine[2 * i + 1];
      const double a = head[i * step];
      const double b = head[i * step + apart];
      head[i * step] = static_cast<float>(a * cosine - b * sine);
      head[i * step + apart] = static_cast<float>(a * sine + b * cosine);
    }
  }
}

void silu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(double{gate[i]} / (1.0 + std::exp(-double{gate[i]})) * double{up[i]});
}

void gelu_mul(const float* gate, const float* up, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    const double x = gate[i];
    // 1 + tanh(z / 2) is 2 / (1 + e^-z), which does not cancel where tanh is near -1.
    const double z = 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    y[i] = static_cast<float>(x / (1.0 + std::exp(-z)) * double{up[i]});
  }
}

void gelu(const float* x, std::size_t n, float* y) {
  // Phi(x) is half of erfc(-x / sqrt(2)), which does not cancel where erf is near -1.
  for (std::size_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(double{x[i]} * 0.5 * std::erfc(-double{x[i]} * M_SQRT1_2));
}

void add(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i)
    y[i] += x[i];
}

}  // namespace troupe::kernels::plain
