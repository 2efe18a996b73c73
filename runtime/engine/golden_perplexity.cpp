#include "runtime/engine/golden_perplexity.hpp"

#include "base/assert.hpp"
#include "runtime/engine/position_runner.hpp"

#include <algorithm>
#include <cmath>

namespace troupe {
namespace {

// The bounds: at least as close to the exact model as llama.cpp with 8-bit activations is on the same text.
constexpr double max_mean_kl = 0.007;
constexpr double max_rms_nll = 0.131;
constexpr double min_same_best = 0.957;
constexpr double max_perplexity_change = 0.005;
constexpr double max_exact_nll_difference = 1e-3;

constexpr std::uint32_t rows_at_once = 64;  // exact logits held while the tested ones are computed

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float x : logits)
    sum += std::exp(x - largest);
  return largest + std::log(sum);
}

std::size_t best(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// KL(p || q) of the two softmaxes.
double divergence(std::span<const float> p, double p_norm, std::span<const float> q, double q_norm) {
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_norm;
    sum += std::exp(log_p) * (log_p - (q[i] - q_norm));
  }
  return sum;
}

}  // namespace

perplexity_comparison::perplexity_comparison(llama_model& tested, llama_model& exact, kernels::kv_type kv)
    : tested_(tested), exact_(exact), kv_(kv) {}

void perplexity_comparison::add_window(std::span<const token_id> tokens) {
  const auto n = static_cast<std::uint32_t>(tokens.size());
  auto exact = position_runner::create(exact_, kernels::kv_type::f32, n);
  auto tested = position_runner::create(tested_, kv_, n);
  TROUPE_ASSERT(exact && tested, "there is memory for a window's K and V");

  const std::size_t n_vocab = exact_.config().n_vocab;
  std::vector<float> held(rows_at_once * n_vocab);
  const std::size_t first = scores_.size();
  scores_.resize(first + n - 1);
  for (std::uint32_t begin = 0; begin + 1 < n; begin += rows_at_once) {
    const std::uint32_t rows = std::min(rows_at_once, n - 1 - begin);
    const auto chunk = tokens.subspan(begin, rows);
    exact->append(chunk, rows, [&](std::uint32_t position, std::span<const float> logits) {
      std::copy(logits.begin(), logits.end(), held.begin() + static_cast<std::ptrdiff_t>((position - begin) * n_vocab));
    });
    tested->append(chunk, rows, [&](std::uint32_t position, std::span<const float> q) {
      const std::span<const float> p(held.data() + (position - begin) * n_vocab, n_vocab);
      const double p_norm = log_sum_exp(p);
      const double q_norm = log_sum_exp(q);
      const auto target = static_cast<std::size_t>(tokens[position + 1]);
      scores_[first + position] = {.exact_nll = p_norm - p[target],
                                   .tested_nll = q_norm - q[target],
                                   .kl = divergence(p, p_norm, q, q_norm),
                                   .same_best = best(p) == best(q)};
    });
  }
}

void perplexity_comparison::summarise(std::span<const double> recorded_nll, std::vector<golden_check>& checks) const {
  const double n = static_cast<double>(scores_.size());
  double kl = 0, squares = 0, same_best = 0, tested_sum = 0, recorded_sum = 0;
  double worst_exact = scores_.size() == recorded_nll.size() ? 0.0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(scores_.size(), recorded_nll.size()); ++i) {
    const score& s = scores_[i];
    kl += s.kl;
    squares += (s.tested_nll - recorded_nll[i]) * (s.tested_nll - recorded_nll[i]);
    same_best += s.same_best;
    tested_sum += s.tested_nll;
    recorded_sum += recorded_nll[i];
    worst_exact = std::max(worst_exact, std::abs(s.exact_nll - recorded_nll[i]));
  }
  const double ratio = std::exp((tested_sum - recorded_sum) / n);
  const auto at_most = golden_bound::at_most;
  checks.push_back({"perplexity: widened weights, largest distance from an exact loss", worst_exact, at_most,
                    max_exact_nll_difference, "nats"});
  checks.push_back({"perplexity: change against exact (" + std::to_string(std::exp(tested_sum / n)) + " for " +
                        std::to_string(std::exp(recorded_sum / n)) + ")",
                    std::abs(ratio - 1.0), at_most, max_perplexity_change, "of it"});
  checks.push_back({"perplexity: mean KL divergence from exact", kl / n, at_most, max_mean_kl, "nats"});
  checks.push_back({"perplexity: rms difference of losses", std::sqrt(squares / n), at_most, max_rms_nll, "nats"});
  checks.push_back(
      {"perplexity: best token is exact's", same_best / n, golden_bound::at_least, min_same_best, "of positions"});
}

}  // namespace troupe
