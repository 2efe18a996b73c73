#include "runtime/sampling/logprobs.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe {
namespace {

bool before(const token_logprob& a, const token_logprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

// The n largest logits in order, still as logits. A heap with the last of them on top; most logits fail its one
// comparison.
std::vector<token_logprob> largest(std::span<const float> logits, std::size_t n) {
  std::vector<token_logprob> heap;
  heap.reserve(n);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float logit = std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i];
    if (heap.size() == n) {
      if (logit <= heap.front().logprob) continue;  // an equal one has the higher id
      std::ranges::pop_heap(heap, before);
      heap.pop_back();
    }
    heap.push_back({.token = static_cast<token_id>(i), .logprob = logit});
    std::ranges::push_heap(heap, before);
  }
  std::ranges::sort_heap(heap, before);
  return heap;
}

}  // namespace

token_logprobs compute_logprobs(const kernels::table& table, std::span<const float> logits, token_id chosen,
                                std::int32_t n_top) {
  TROUPE_ASSERT(chosen >= 0 && static_cast<std::size_t>(chosen) < logits.size(), "a token inside the vocabulary");
  const float log_sum = table.log_sum_exp(logits.data(), logits.size());
  const auto normalise = [&](float logit) {
    const float logprob = logit - log_sum;
    return logprob > lowest_logprob ? std::min(logprob, 0.0f) : lowest_logprob;  // NaN is not greater
  };
  token_logprobs out{.chosen = normalise(logits[static_cast<std::size_t>(chosen)]), .top = {}};
  if (n_top <= 0) return out;
  out.top = largest(logits, std::min(static_cast<std::size_t>(n_top), logits.size()));
  for (token_logprob& entry : out.top)
    entry.logprob = normalise(entry.logprob);
  return out;
}

}  // namespace troupe
