#include "runtime/engine/engine_sequence.hpp"

#include "base/assert.hpp"
#include "runtime/sampling/logprobs.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

engine_sequence::engine_sequence(sequence_id id, generation_request request,
                                 std::optional<grammar_constraint> constraint, const tokenizer& vocabulary,
                                 std::span<const token_id> end_tokens, sequence_blocks blocks,
                                 std::uint32_t max_context, std::uint32_t max_guesses)
    : id_(id),
      request_(std::move(request)),
      vocabulary_(vocabulary),
      max_context_(max_context),
      n_prompt_(static_cast<std::uint32_t>(request_.prompt.size())),
      tokens_(std::exchange(request_.prompt, {})),
      ends_(request_.sampling.stop_tokens),
      blocks_(std::move(blocks)),
      constraint_(std::move(constraint)),
      text_(vocabulary, request_.sampling),
      // Penalties make a draw depend on the tokens before it, and these are drawn at the same time.
      max_guesses_(has_penalties(request_.sampling) ? 0 : max_guesses) {
  const std::vector<token_id> resumed = std::exchange(request_.resumed, {});
  const std::size_t most = std::min<std::size_t>(max_context, std::size_t{n_prompt_} + request_.sampling.max_tokens);
  if (!request_.sampling.ignore_eos) ends_.insert(ends_.end(), end_tokens.begin(), end_tokens.end());
  if (has_penalties(request_.sampling)) {
    history_.reserve(std::max(most, n_prompt_ + resumed.size()));
    history_.add_prompt(tokens_);
    for (const token_id token : resumed)
      history_.add_output(token);
  }
  tokens_.reserve(std::max(most, n_prompt_ + resumed.size()));
  tokens_.insert(tokens_.end(), resumed.begin(), resumed.end());
  n_known_ = static_cast<std::uint32_t>(tokens_.size());
  draws_.resize(1 + max_guesses_);
  if (max_guesses_ > 0) lookup_.reserve(tokens_.capacity());

  text_.resume(resumed);
  ended_before_ = text_.stopped() || is_whole() ||
                  (!resumed.empty() && n_output() > request_.sampling.min_tokens && is_end(resumed.back()));
  // Whoever has delivered tokens has delivered the prompt's logprobs before them.
  prompt_logprobs_due_ = request_.sampling.prompt_logprobs >= 0 && resumed.empty();
  if (!prompt_logprobs_due_) return;
  prompt_logprobs_.resize(n_prompt_);
  prompt_logprobs_[0].token = tokens_[0];
}

bool engine_sequence::admit(std::uint32_t n_tokens) {
  // The last token is computed in any case, since its logits are wanted; so is every token of a prompt to be scored.
  if (!prompt_logprobs_due_) n_computed_ = blocks_.adopt_prefix(known(), n_known() - 1);
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

std::span<const block_handle> engine_sequence::readable_blocks(std::uint32_t n_computing) const {
  const std::uint32_t n = n_computed_ + n_computing;
  const bool has_partial = paused_ && n % kernels::kv_block_tokens != 0;
  return blocks_.blocks().first(n / kernels::kv_block_tokens + (has_partial ? 1 : 0));
}

sequence_snapshot engine_sequence::snapshot() const {
  const auto prompt = known().first(n_prompt_);
  const auto output = known().subspan(n_prompt_);
  const auto scored = std::span(prompt_logprobs_).first(prompt_logprobs_due_ ? n_scored_ : 0);
  sequence_snapshot taken{
      .request = request_,
      .progress = {
          .n_computed = n_computed_, .cached_tokens = n_cached_, .prompt_logprobs = {scored.begin(), scored.end()}}};
  taken.request.prompt.assign(prompt.begin(), prompt.end());
  taken.request.resumed.assign(output.begin(), output.end());
  return taken;
}

void engine_sequence::arrive(sequence_progress progress) {
  TROUPE_ASSERT(progress.n_computed < n_known_, "the last known token is still to be computed");
  n_computed_ = progress.n_computed;
  n_cached_ = std::min(progress.cached_tokens, n_prompt_);
  was_admitted_ = admitted_ = true;
  if (prompt_logprobs_due_ && !progress.prompt_logprobs.empty()) {
    prompt_logprobs_ = std::move(progress.prompt_logprobs);
    n_scored_ = std::min(static_cast<std::uint32_t>(prompt_logprobs_.size()), n_prompt_);
    prompt_logprobs_.resize(n_prompt_);
  }
  blocks_.commit(known(), n_computed_);
}

std::uint32_t engine_sequence::logits_wanted(std::uint32_t n_tokens) const {
  const std::uint32_t end = n_computed_ + n_tokens;
  const std::uint32_t last = end >= n_known() && draws() ? 1 + end - n_known() : 0;
  if (!prompt_logprobs_due_ || n_scored_ == n_prompt_) return last;
  // Position p scores token p + 1, so that scoring goes on at n_scored_ - 1.
  const std::uint32_t first = std::max(n_computed_, n_scored_ - 1);
  return std::max(last, end > first ? end - first : 0);
}

void engine_sequence::take_logits(std::uint32_t position, std::span<const float> logits, const kernels::table& table,
                                  sampler& sample) {
  if (prompt_logprobs_due_ && position + 1 < n_prompt_) {
    const token_id next = tokens_[position + 1];
    auto scores = compute_logprobs(table, logits, next, request_.sampling.prompt_logprobs);
    prompt_logprobs_[position + 1] = {next, scores.chosen, std::move(scores.top)};
  }
  if (position + 1 < n_known() || !draws()) return;
  const std::uint32_t n_guesses = position + 1 - n_known();  // before this draw
  draw& drawn = draws_[n_guesses];
  draw_token(n_guesses, logits, sample, drawn);
  if (request_.sampling.logprobs < 0 || drawn.failure) return;
  auto scores = compute_logprobs(table, logits, drawn.token, request_.sampling.logprobs);
  drawn.logprob = scores.chosen;
  drawn.top = std::move(scores.top);
}

void engine_sequence::draw_token(std::uint32_t n_guesses, std::span<const float> logits, sampler& sample,
                                 draw& drawn) const {
  const std::uint32_t index = n_output() + n_guesses;
  draw_context context{.output_index = index, .history = &history_, .suppressed = suppressed(index)};
  if (!constraint_) {
    drawn.token = sample.draw(logits, request_.sampling, context);
    return;
  }
  const std::uint32_t tokens_left =
      std::min(request_.sampling.max_tokens - index, max_context_ - n_known() - n_guesses);
  const auto chosen = constraint_->draw(std::span(tokens_).subspan(n_known(), n_guesses), tokens_left,
                                        [&](std::span<const std::uint64_t> allowed) {
                                          context.allowed = allowed;
                                          return sample.draw(logits, request_.sampling, context);
                                        });
  if (chosen)
    drawn.token = *chosen;
  else
    drawn.failure = chosen.error();
}

bool engine_sequence::complete(std::uint32_t n_tokens, sequence_output& output) {
  const std::uint32_t end = n_computed_ + n_tokens;
  n_computed_ = std::min(end, n_known());
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
      accept_draws(end - n_known(), output);
    else
      output.reason = ended_before_ ? finish_reason::stop : finish_reason::length;
    told = true;
  }
  blocks_.commit(known(), n_computed_);
  if (!told) return false;
  output.id = id_;
  output.usage = {.prompt_tokens = n_prompt_, .cached_tokens = n_cached_, .completion_tokens = n_output()};
  return true;
}

/// The draw after the last known token holds in any case, each further one for as long as the guess before it is what
/// was drawn: then its K and V are those of the drawn token, and its logits are what another step would have given.
void engine_sequence::accept_draws(std::uint32_t n_guesses, sequence_output& output) {
  const bool offered = n_guessed() > 0;
  std::uint32_t n_right = 0;
  for (std::uint32_t i = 0;; ++i) {
    draw& drawn = draws_[i];
    if (drawn.failure) {
      output.reason = finish_reason::failed;
      output.failure = std::move(drawn.failure);
      break;
    }
    const bool right = i < n_guesses && tokens_[n_known_] == drawn.token;
    accept(drawn, output);
    if (!right || output.reason != finish_reason::unfinished) break;
    ++n_computed_;
    ++n_right;
  }
  tokens_.resize(n_known_);
  if (n_guesses > 0) {
    constexpr float weight = 0.25f;  // of the newest step
    acceptance_ += weight * (static_cast<float>(n_right) / static_cast<float>(n_guesses) - acceptance_);
  } else if (offered && acceptance_ < unknown_acceptance) {
    // Not worth trying lately; what an answer is like changes, so one is tried again some steps later.
    constexpr float recovery = 0.05f;
    acceptance_ += recovery * (unknown_acceptance - acceptance_);
  }
  if (output.reason == finish_reason::unfinished) guess();
}

/// Guesses no further than the answer can go: the last draw needs no guess behind it.
void engine_sequence::guess() {
  if (max_guesses_ == 0) return;
  const std::uint32_t room = std::min(request_.sampling.max_tokens - n_output(), max_context_ - n_known());
  if (room < 2) return;
  lookup_.update(known());
  auto guessed = lookup_.guess(known(), std::min(max_guesses_, room - 1));
  if (constraint_) guessed = guessed.first(constraint_->count_allowed(guessed));
  for (const token_id token : guessed)  // a part of tokens_, which has room
    tokens_.push_back(token);
}

void engine_sequence::accept(draw& drawn, sequence_output& output) {
  const token_id token = drawn.token;
  generated_token& out = output.tokens.emplace_back();
  out.index = n_output();
  out.token = token;
  out.logprob = drawn.logprob;
  out.top = std::move(drawn.top);
  if (n_known_ < tokens_.size())
    tokens_[n_known_] = token;
  else
    tokens_.push_back(token);
  ++n_known_;
  if (has_penalties(request_.sampling)) history_.add_output(token);
  if (constraint_) TROUPE_ASSERT(constraint_->accept(token), "a token drawn is one that the grammar allows");

  // Before min_tokens no end token can be drawn, and stop strings are not searched for.
  const bool ended = n_output() > request_.sampling.min_tokens && is_end(token);
  if (!ended || request_.sampling.include_stop_in_output) out.text = text_.push(token);
  if (ended || text_.stopped() || is_whole())
    output.reason = finish_reason::stop;
  else if (!has_room())
    output.reason = finish_reason::length;
  if (output.reason != finish_reason::unfinished) out.text += text_.finish();
}

bool engine_sequence::is_end(token_id token) const {
  return std::find(ends_.begin(), ends_.end(), token) != ends_.end();
}

/// What may not be drawn after n_output tokens: ends, while fewer than min_tokens are out.
std::span<const token_id> engine_sequence::suppressed(std::uint32_t n_output) const {
  if (n_output >= request_.sampling.min_tokens) return {};
  return ends_;
}

}  // namespace troupe
