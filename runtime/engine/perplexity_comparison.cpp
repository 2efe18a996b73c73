#include "runtime/engine/perplexity_comparison.hpp"

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

perplexity_comparison::perplexity_comparison(decoder_model& tested, decoder_model& exact, kernels::kv_type kv)
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

std::vector<double> perplexity_comparison::exact_losses() const {
  std::vector<double> losses;
  for (const score& s : scores_)
    losses.push_back(s.exact_nll);
  return losses;
}

void perplexity_comparison::summarise(std::span<const double> exact_nll, std::vector<golden_check>& checks) const {
  TROUPE_ASSERT(scores_.size() == exact_nll.size() && !scores_.empty(), "an exact loss for each scored token");
  const double n = static_cast<double>(scores_.size());
  double kl = 0, squares = 0, same_best = 0, tested_sum = 0, exact_sum = 0;
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const score& s = scores_[i];
    kl += s.kl;
    squares += (s.tested_nll - exact_nll[i]) * (s.tested_nll - exact_nll[i]);
    same_best += s.same_best;
    tested_sum += s.tested_nll;
    exact_sum += exact_nll[i];
  }
  const auto at_most = golden_bound::at_most;
  checks.push_back({"perplexity: change against exact (" + std::to_string(std::exp(tested_sum / n)) + " for " +
                        std::to_string(std::exp(exact_sum / n)) + ")",
                    std::abs(std::exp((tested_sum - exact_sum) / n) - 1.0), at_most, max_perplexity_change, "of it"});
  checks.push_back({"perplexity: mean KL divergence from exact", kl / n, at_most, max_mean_kl, "nats"});
  checks.push_back({"perplexity: rms difference of losses", std::sqrt(squares / n), at_most, max_rms_nll, "nats"});
  checks.push_back(
      {"perplexity: best token is exact's", same_best / n, golden_bound::at_least, min_same_best, "of positions"});
}

}  // namespace troupe
