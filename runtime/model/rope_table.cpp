#include "runtime/model/rope_table.hpp"

#include <cmath>

namespace troupe {

rope_table::rope_table(const model_config& config, const rope_config& rope, std::span<const float> factors,
                       std::uint32_t n_positions)
    : stride_(config.head_dim), values_(std::size_t{n_positions} * stride_) {
  std::vector<double> frequencies(config.head_dim / 2, 0.0);
  for (std::uint32_t i = 0; i < config.rope_dims / 2; ++i) {
    frequencies[i] = std::pow(static_cast<double>(rope.base), -2.0 * i / config.rope_dims) / rope.scale;
    if (!factors.empty()) frequencies[i] /= factors[i];
  }
  float* out = values_.data();
  for (std::uint32_t position = 0; position < n_positions; ++position) {
    for (const double frequency : frequencies) {
      *out++ = static_cast<float>(std::cos(position * frequency));
      *out++ = static_cast<float>(std::sin(position * frequency));
    }
  }
}

}  // namespace troupe
