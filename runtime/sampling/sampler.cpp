#include "runtime/sampling/sampler.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// Repetition over prompt and output (Keskar et al., CTRL, 2019, as in transformers), the others over the output only
// (OpenAI).
void apply_penalties(std::span<float> logits, const sampling_params& params, const token_history& history) {
  for (const auto& [token, in_output] : history.distinct()) {
    if (token < 0 || static_cast<std::size_t>(token) >= logits.size()) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    logit -= params.frequency_penalty * static_cast<float>(in_output);
    if (in_output > 0) logit -= params.presence_penalty;
  }
}

void keep_allowed(std::span<float> logits, std::span<const std::uint64_t> allowed) {
  constexpr std::uint64_t all = ~std::uint64_t{0};
  for (std::size_t first = 0; first < logits.size(); first += 64) {
    const std::uint64_t bits = first / 64 < allowed.size() ? allowed[first / 64] : 0;
    if (bits == all) continue;
    const auto part = logits.subspan(first, std::min<std::size_t>(64, logits.size() - first));
    for (std::size_t i = 0; i < part.size(); ++i)
      part[i] = (bits >> i & 1) != 0 ? part[i] : minus_infinity;
  }
}

}  // namespace

bool has_penalties(const sampling_params& params) {
  return params.repetition_penalty != 1.0f || params.frequency_penalty != 0.0f || params.presence_penalty != 0.0f;
}

sampler::sampler(const kernels::table& table, std::uint32_t n_vocab)
    : table_(table), adjusted_(n_vocab), order_(n_vocab) {}

token_id sampler::draw(std::span<const float> logits, const sampling_params& params, const draw_context& context) {
  TROUPE_ASSERT(logits.size() == adjusted_.size(), "one logit for each token of the vocabulary");
  TROUPE_ASSERT(context.history != nullptr || !has_penalties(params), "penalties need the history");
  const auto adjusted = adjust(logits, params, context);
  if (!(params.temperature > 0.0f)) return draw_largest(adjusted);
  return draw_weighted(adjusted, params, context.output_index);
}

std::span<const float> sampler::adjust(std::span<const float> logits, const sampling_params& params,
                                       const draw_context& context) {
  if (params.logit_bias.empty() && !has_penalties(params) && context.suppressed.empty() && context.allowed.empty())
    return logits;
  std::ranges::copy(logits, adjusted_.begin());
  const auto known = [&](token_id token) { return token >= 0 && static_cast<std::size_t>(token) < adjusted_.size(); };
  for (const auto& [token, bias] : params.logit_bias)
    if (known(token)) adjusted_[static_cast<std::size_t>(token)] += bias;
  if (has_penalties(params)) apply_penalties(adjusted_, params, *context.history);
  for (const token_id token : context.suppressed)
    if (known(token)) adjusted_[static_cast<std::size_t>(token)] = minus_infinity;
  if (!context.allowed.empty()) keep_allowed(adjusted_, context.allowed);
  return adjusted_;
}

token_id sampler::draw_largest(std::span<const float> logits) const {
  const std::size_t best = table_.argmax(logits.data(), logits.size());  // a NaN never wins
  return logits[best] > minus_infinity ? static_cast<token_id>(best) : 0;
}

token_id sampler::draw_weighted(std::span<const float> logits, const sampling_params& params,
                                std::uint64_t output_index) {
  if (!order_.assign(logits, params.temperature, params.min_p)) return 0;
  // Each filter keeps a beginning of one order, so the weight of what is kept says all.
  std::uint64_t kept = order_.total_weight();
  if (params.top_k > 0) kept = order_.weight_of_first(static_cast<std::uint64_t>(params.top_k));
  if (params.top_p < 1.0f) {
    const double share = std::ceil(static_cast<double>(params.top_p) * static_cast<double>(kept));
    kept = order_.shortest_reaching(std::clamp<std::uint64_t>(static_cast<std::uint64_t>(share), 1, kept)).weight;
  }
  const double point = random_unit(params.seed, output_index) * static_cast<double>(kept);
  return order_.shortest_reaching(std::min(static_cast<std::uint64_t>(point) + 1, kept)).last;
}

}  // namespace troupe
