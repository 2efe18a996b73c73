#include "simulator/length_oracle.hpp"

#include "base/normal.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace troupe::simulator {
namespace {

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

/// Looked up and interpolated: this is asked for every sequence in every step. Good to 1e-5 between -6 and 6.
double normal_quantile(double p) {
  static constexpr double low = -6, width = 12.0 / 4096;
  static const std::vector<double> table = [] {
    std::vector<double> made(4097);
    for (std::size_t i = 0; i < made.size(); ++i)
      made[i] = normal_cdf(low + width * static_cast<double>(i));
    return made;
  }();
  if (p <= table.front()) return low;
  if (p >= table.back()) return -low;
  const auto above = std::upper_bound(table.begin(), table.end(), p);
  const auto i = static_cast<double>(above - table.begin());
  return low + width * (i - 1 + (p - *(above - 1)) / (*above - *(above - 1)));
}

}  // namespace

/// In standard deviations; the same whenever it is asked for.
double length_oracle::error_of(request_id request) const {
  return normal_of(random_unit(seed_, 2 * request.value), random_unit(seed_, 2 * request.value + 1));
}

double length_oracle::predict_left(const policies::length_features& of, std::uint32_t n_drawn, double quantile) const {
  const double length = true_length_(of.request);
  if (sigma_ <= 0) return std::max(length - n_drawn, 1.0);
  const double middle = std::log(length) + sigma_ * error_of(of.request);
  // The lognormal around what was predicted, of which the part up to n_drawn is ruled out.
  const double ruled_out = n_drawn == 0 ? 0.0 : normal_cdf((std::log(n_drawn) - middle) / sigma_);
  const double p = ruled_out + quantile * (1 - ruled_out);
  if (p > 1 - 1e-12) return 1.0;
  return std::max(std::exp(middle + sigma_ * normal_quantile(p)) - n_drawn, 1.0);
}

}  // namespace troupe::simulator
