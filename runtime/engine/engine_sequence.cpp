#include "runtime/engine/engine_sequence.hpp"

#include "runtime/sampling/logprobs.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

engine_sequence::engine_sequence(sequence_id id, generation_request request, const tokenizer& vocabulary,
                                 std::span<const token_id> end_tokens, block_pool& pool, prefix_index* index,
                                 std::uint32_t max_context)
    : id_(id),
      sampling_(std::move(request.sampling)),
      vocabulary_(vocabulary),
      max_context_(max_context),
      n_prompt_(static_cast<std::uint32_t>(request.prompt.size())),
      tokens_(std::move(request.prompt)),
      ends_(sampling_.stop_tokens),
      blocks_(pool, index, request.tenant),
      text_(vocabulary, sampling_) {
  const std::size_t most = std::min<std::size_t>(max_context, std::size_t{n_prompt_} + sampling_.max_tokens);
  if (!sampling_.ignore_eos) ends_.insert(ends_.end(), end_tokens.begin(), end_tokens.end());
  if (has_penalties(sampling_)) {
    history_.reserve(std::max(most, n_prompt_ + request.resumed.size()));
    history_.add_prompt(tokens_);
    for (const token_id token : request.resumed)
      history_.add_output(token);
  }
  tokens_.reserve(std::max(most, n_prompt_ + request.resumed.size()));
  tokens_.insert(tokens_.end(), request.resumed.begin(), request.resumed.end());

  text_.resume(request.resumed);
  ended_before_ = text_.stopped() ||
                  (!request.resumed.empty() && n_output() > sampling_.min_tokens && is_end(request.resumed.back()));
  // Whoever has delivered tokens has delivered the prompt's logprobs before them.
  prompt_logprobs_due_ = sampling_.prompt_logprobs >= 0 && request.resumed.empty();
  if (!prompt_logprobs_due_) return;
  prompt_logprobs_.resize(n_prompt_);
  prompt_logprobs_[0].token = tokens_[0];
}

bool engine_sequence::admit(std::uint32_t n_tokens) {
  // The last token is computed in any case, since its logits are wanted; so is every token of a prompt to be scored.
  if (!prompt_logprobs_due_) n_computed_ = blocks_.adopt_prefix(tokens_, n_known() - 1);
  if (!reserve(std::min(n_tokens, n_known() - n_computed_))) {
    preempt();
    return false;
  }
  if (!was_admitted_) n_cached_ = std::min(n_computed_, n_prompt_);
  was_admitted_ = admitted_ = true;
  return true;
}

void engine_sequence::preempt() {
  blocks_.release();
  n_computed_ = 0;
  admitted_ = false;
}

std::uint32_t engine_sequence::logits_wanted(std::uint32_t n_tokens) const {
  const std::uint32_t end = n_computed_ + n_tokens;
  const bool last = end == n_known() && draws();
  if (!prompt_logprobs_due_ || n_scored_ == n_prompt_) return last;
  // Position p scores token p + 1, so that scoring goes on at n_scored_ - 1.
  const std::uint32_t first = std::max(n_computed_, n_scored_ - 1);
  return std::max<std::uint32_t>(last, end > first ? end - first : 0);
}

void engine_sequence::take_logits(std::uint32_t position, std::span<const float> logits, const kernels::table& table,
                                  sampler& draw) {
  if (prompt_logprobs_due_ && position + 1 < n_prompt_) {
    const token_id next = tokens_[position + 1];
    auto scores = compute_logprobs(table, logits, next, sampling_.prompt_logprobs);
    prompt_logprobs_[position + 1] = {next, scores.chosen, std::move(scores.top)};
  }
  if (position + 1 != n_known() || !draws()) return;
  drawn_ = draw.draw(logits, sampling_, {.output_index = n_output(), .history = &history_, .suppressed = suppressed()});
  if (sampling_.logprobs < 0) return;
  auto scores = compute_logprobs(table, logits, drawn_, sampling_.logprobs);
  drawn_logprob_ = scores.chosen;
  drawn_top_ = std::move(scores.top);
}

bool engine_sequence::complete(std::uint32_t n_tokens, sequence_output& output) {
  n_computed_ += n_tokens;
  blocks_.commit(tokens_, n_computed_);
  bool told = false;
  if (prompt_logprobs_due_) {
    n_scored_ = std::max(n_scored_, std::min(n_computed_ + 1, n_prompt_));
    if (n_computed_ >= n_prompt_) {
      output.prompt_logprobs = std::move(prompt_logprobs_);
      prompt_logprobs_due_ = false;
      told = true;
    }
  }
  if (n_computed_ == n_known()) {
    if (draws())
      accept(drawn_, output);
    else
      output.reason = ended_before_ ? finish_reason::stop : finish_reason::length;
    told = true;
  }
  if (!told) return false;
  output.id = id_;
  output.usage = {.prompt_tokens = n_prompt_, .cached_tokens = n_cached_, .completion_tokens = n_output()};
  return true;
}

void engine_sequence::accept(token_id token, sequence_output& output) {
  generated_token& out = output.tokens.emplace_back();
  out.index = n_output();
  out.token = token;
  out.logprob = drawn_logprob_;
  out.top = std::move(drawn_top_);
  tokens_.push_back(token);
  if (has_penalties(sampling_)) history_.add_output(token);

  // Before min_tokens no end token can be drawn, and stop strings are not searched for.
  const bool ended = n_output() > sampling_.min_tokens && is_end(token);
  if (!ended || sampling_.include_stop_in_output) out.text = text_.push(token);
  if (ended || text_.stopped())
    output.reason = finish_reason::stop;
  else if (n_output() >= sampling_.max_tokens || n_known() >= max_context_)
    output.reason = finish_reason::length;
  if (output.reason != finish_reason::unfinished) out.text += text_.finish();
}

bool engine_sequence::is_end(token_id token) const {
  return std::find(ends_.begin(), ends_.end(), token) != ends_.end();
}

/// What may not be drawn now: ends, while fewer than min_tokens are out.
std::span<const token_id> engine_sequence::suppressed() const {
  if (n_output() >= sampling_.min_tokens) return {};
  return ends_;
}

}  // namespace troupe
