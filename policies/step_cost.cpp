#include "policies/step_cost.hpp"

#include <algorithm>

namespace troupe::policies {

void step_shape::add_prompt(std::uint64_t begin, std::uint64_t end) {
  prompt_tokens += end - begin;
  prompt_tokens_squared += end * end - begin * begin;
}

void step_shape::add_decoding(std::uint64_t positions) {
  context += positions;
  ++decoding;
}

duration step_cost::time(const step_shape& shape) const {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double, std::milli>(time_ms(shape)));
}

double step_cost::time_ms(const step_shape& shape) const {
  double base_ms = 0;
  double rest_ms = 0;
  if (shape.prompt_tokens > 0) {
    base_ms = prompt.base_ms;
    rest_ms += prompt.per_token_ms * static_cast<double>(shape.prompt_tokens) +
               prompt.per_token_squared_ms * static_cast<double>(shape.prompt_tokens_squared);
  }
  if (shape.decoding > 0) {
    const bool is_large = large_batch > 0 && shape.decoding >= large_batch;
    const decoding_cost& cost = is_large ? large : decoding;
    base_ms = std::max(base_ms, cost.base_ms);
    rest_ms += cost.per_context_ms * static_cast<double>(shape.context) +
               cost.per_sequence_ms * static_cast<double>(shape.decoding);
  }
  return base_ms + rest_ms;
}

}  // namespace troupe::policies
