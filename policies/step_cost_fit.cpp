#include "policies/step_cost_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace troupe::policies {
namespace {

constexpr std::size_t min_samples = 6;
// Determinant of the Gram matrix with its diagonal scaled to 1: zero when the columns depend on each other.
constexpr double min_determinant = 1e-9;

using triple = std::array<double, 3>;
using matrix = std::array<triple, 3>;

/// Normal equations of rows (features / time) x = 1, with each column scaled to length 1.
struct normal_equations {
  matrix gram{};
  triple right{};
  triple scale{};
};

double determinant(const matrix& m) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

normal_equations equations_of(const std::vector<triple>& rows) {
  normal_equations made;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < 3; ++i)
      made.scale[i] += row[i] * row[i];
  for (auto& length : made.scale)
    length = length > 0 ? std::sqrt(length) : 1.0;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < 3; ++i) {
      made.right[i] += row[i] / made.scale[i];
      for (std::size_t j = 0; j < 3; ++j)
        made.gram[i][j] += row[i] / made.scale[i] * row[j] / made.scale[j];
    }
  return made;
}

/// The solution with only the coefficients of `allowed` (bits) other than zero.
triple solve(const normal_equations& equations, unsigned allowed) {
  matrix m = equations.gram;
  triple right = equations.right;
  for (std::size_t i = 0; i < 3; ++i) {
    if ((allowed >> i & 1u) != 0) continue;
    for (std::size_t j = 0; j < 3; ++j)
      m[i][j] = m[j][i] = 0.0;
    m[i][i] = 1.0;
    right[i] = 0.0;
  }
  const double whole = determinant(m);
  triple x{};
  for (std::size_t i = 0; i < 3; ++i) {  // Cramer: three unknowns, columns of length 1
    matrix replaced = m;
    for (std::size_t row = 0; row < 3; ++row)
      replaced[row][i] = right[row];
    x[i] = determinant(replaced) / whole;
  }
  return x;
}

/// x^T G x - 2 b^T x: the squared error, but for a constant.
double loss(const normal_equations& equations, const triple& x) {
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    sum -= 2.0 * equations.right[i] * x[i];
    for (std::size_t j = 0; j < 3; ++j)
      sum += x[i] * equations.gram[i][j] * x[j];
  }
  return sum;
}

/// Least squares without negative coefficients; of three, every set of zeros can be tried. Nothing when the rows do not
/// determine three coefficients.
std::optional<triple> fit_rows(const std::vector<triple>& rows) {
  const auto equations = equations_of(rows);
  if (!(determinant(equations.gram) > min_determinant)) return std::nullopt;
  triple best{};
  double best_loss = 0.0;
  for (unsigned allowed = 1; allowed < 8; ++allowed) {
    const triple x = solve(equations, allowed);
    if (std::any_of(x.begin(), x.end(), [](double value) { return value < 0.0; })) continue;
    if (const double here = loss(equations, x); here < best_loss) {
      best = x;
      best_loss = here;
    }
  }
  for (std::size_t i = 0; i < 3; ++i)
    best[i] /= equations.scale[i];
  return best;
}

triple prompt_row(const step_sample& sample) {
  return {1.0 / sample.time_ms, static_cast<double>(sample.shape.prompt_tokens) / sample.time_ms,
          static_cast<double>(sample.shape.prompt_tokens_squared) / sample.time_ms};
}

triple decoding_row(const step_sample& sample) {
  return {1.0 / sample.time_ms, static_cast<double>(sample.shape.context) / sample.time_ms,
          static_cast<double>(sample.shape.decoding) / sample.time_ms};
}

error missing(const std::string& field, const std::string& what, std::size_t have) {
  return make_error(errc::invalid_argument,
                    "a fit needs at least " + std::to_string(min_samples) + " steps of " + what + "; there are " +
                        std::to_string(have) + ".",
                    field);
}

result<decoding_cost> fit_decoding(const std::vector<triple>& rows, const std::string& field, const std::string& what) {
  if (rows.size() < min_samples) return missing(field, what, rows.size());
  const auto x = fit_rows(rows);
  if (!x)
    return make_error(errc::invalid_argument,
                      "the steps of " + what +
                          " do not tell context from sequences; measure several batch sizes, each at several contexts.",
                      field);
  return decoding_cost{(*x)[0], (*x)[1], (*x)[2]};
}

double quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

result<step_cost_fit> fit_step_cost(std::span<const step_sample> samples, std::uint32_t large_batch) {
  std::vector<triple> prompts, decoding, large;
  for (const auto& sample : samples) {
    if (!(sample.time_ms > 0.0) || !std::isfinite(sample.time_ms))
      return make_error(errc::invalid_argument, "a step's time is a positive number of milliseconds.",
                        "samples.time_ms");
    const bool has_prompt = sample.shape.prompt_tokens > 0, has_decoding = sample.shape.decoding > 0;
    if (has_prompt && !has_decoding) prompts.push_back(prompt_row(sample));
    if (!has_prompt && has_decoding) {
      const bool is_large = large_batch > 0 && sample.shape.decoding >= large_batch;
      (is_large ? large : decoding).push_back(decoding_row(sample));
    }
  }
  if (prompts.size() < min_samples) return missing("samples.prompt", "prompts alone", prompts.size());
  const auto prompt = fit_rows(prompts);
  if (!prompt)
    return make_error(errc::invalid_argument, "the steps of prompts alone have fewer than 3 different lengths.",
                      "samples.prompt");
  auto small = fit_decoding(decoding, "samples.decoding", "decoding alone");
  if (!small) return small.error();

  step_cost_fit made;
  made.cost.prompt = {(*prompt)[0], (*prompt)[1], (*prompt)[2]};
  made.cost.decoding = *small;
  if (large_batch > 0) {
    auto many = fit_decoding(large, "samples.large",
                             "decoding alone with at least " + std::to_string(large_batch) + " sequences");
    if (!many) return many.error();
    made.cost.large = *many;
    made.cost.large_batch = large_batch;
  }
  std::vector<double> errors;
  for (const auto& sample : samples)
    errors.push_back(std::abs(made.cost.time_ms(sample.shape) - sample.time_ms) / sample.time_ms);
  std::sort(errors.begin(), errors.end());
  made.median_error = quantile(errors, 0.5);
  made.p90_error = quantile(errors, 0.9);
  return made;
}

}  // namespace troupe::policies
