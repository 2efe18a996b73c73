#include "runtime/sampling/token_text.hpp"

namespace troupe {

token_text::token_text(const tokenizer& tokens, const sampling_params& params)
    : tokens_(tokens), n_unsearched_(params.min_tokens), stops_(params.stop, params.include_stop_in_output) {}

std::string token_text::push(token_id token) {
  const bool searched = n_unsearched_ == 0;
  if (!searched) --n_unsearched_;
  if (stopped() || tokens_.is_control(token)) return {};
  std::string characters = decoder_.push(tokens_.token_bytes(token));
  return searched ? stops_.push(characters) : characters;
}

std::string token_text::finish() {
  if (stopped()) return {};
  const std::string characters = decoder_.finish();
  if (n_unsearched_ > 0) return characters;
  const std::string shown = stops_.push(characters);
  return shown + stops_.finish();
}

void token_text::resume(std::span<const token_id> tokens) {
  for (const token_id token : tokens)
    push(token);
}

}  // namespace troupe
