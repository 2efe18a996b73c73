// The text of one stream, token by token: bytes to whole characters (stream_decoder), characters to what may be shown
// (stop_matcher). Control tokens have no text. The first min_tokens tokens are not searched for stop strings.
#pragma once

#include "base/generation.hpp"
#include "runtime/sampling/stop_matcher.hpp"
#include "runtime/tokenizer/stream_decoder.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace troupe {

class token_text {
 public:
  /// The tokenizer must outlive it.
  token_text(const tokenizer& tokens, const sampling_params& params);

  /// What this token adds to the answer, possibly nothing. After it, stopped() says whether a stop string was met.
  std::string push(token_id token);
  /// The end of a stream that no stop string ended: what was held back. Append it to the last token's text.
  std::string finish();
  /// Tokens whose text was delivered by an earlier epoch: as push(), but nothing comes out.
  void resume(std::span<const token_id> tokens);

  bool stopped() const { return stops_.matched(); }

 private:
  const tokenizer& tokens_;
  std::uint32_t n_unsearched_;  // tokens still to come that are not searched for stop strings
  stream_decoder decoder_;
  stop_matcher stops_;
};

}  // namespace troupe
