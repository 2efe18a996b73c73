// One sequence inside cpu_engine: its tokens, how far they are computed, and what a drawn token means for it - text,
// logprobs, the end.
//
//   waiting --first grant--> admitted --every token computed--> draws a token --> admitted, or ended
//      ^                     |  ^
//      +------ preempt ------+  +-- arrive     blocks are given back; tokens and text stay
//
// Paused, it stays where it is in this picture: nothing is computed and nothing given back.
#pragma once

#include "base/generation.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/engine/grammar_constraint.hpp"
#include "runtime/engine/kv_transfer.hpp"
#include "runtime/engine/prompt_lookup.hpp"
#include "runtime/kv/sequence_blocks.hpp"
#include "runtime/sampling/sampler.hpp"
#include "runtime/sampling/token_history.hpp"
#include "runtime/sampling/token_text.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace troupe {

class engine_sequence {
 public:
  /// The request has been checked; constraint: of its grammar, behind the resumed tokens. blocks: of the request's
  /// tenant; empty, but of a sequence that will arrive. max_context: tokens at which the sequence ends.
  engine_sequence(sequence_id id, generation_request request, std::optional<grammar_constraint> constraint,
                  const tokenizer& vocabulary, std::span<const token_id> end_tokens, sequence_blocks blocks,
                  std::uint32_t max_context, std::uint32_t max_guesses);

  sequence_id id() const { return id_; }
  /// The known ones, and behind them those that are guessed.
  std::span<const token_id> tokens() const { return tokens_; }
  std::uint32_t n_known() const { return n_known_; }
  std::uint32_t n_guessed() const { return static_cast<std::uint32_t>(tokens_.size()) - n_known_; }
  float acceptance() const { return acceptance_; }
  std::uint32_t n_computed() const { return n_computed_; }
  std::uint32_t n_output() const { return n_known() - n_prompt_; }  // resumed tokens are output
  bool admitted() const { return admitted_; }
  const sequence_blocks& blocks() const { return blocks_; }

  /// Takes the blocks of a known beginning and makes room for n_tokens more. False, and waiting still, when there is no
  /// room.
  bool admit(std::uint32_t n_tokens);
  /// Room for n_tokens more positions.
  bool reserve(std::uint32_t n_tokens) { return blocks_.reserve(n_computed_ + n_tokens); }
  void preempt();

  bool paused() const { return paused_; }
  void pause() { paused_ = true; }
  void resume() { paused_ = false; }
  /// Blocks with something to read: the full ones and, of a paused sequence, the one behind them. n_computing:
  /// positions to count as computed.
  std::span<const block_handle> readable_blocks(std::uint32_t n_computing) const;
  /// A fresh block in place of the partly filled one; nullopt when none is free.
  std::optional<block_handle> replace_partial_block() {
    return blocks_.replace(n_computed_ / kernels::kv_block_tokens);
  }
  kv_listener* listener() const { return listener_; }
  void listen(kv_listener* listener) { listener_ = listener; }

  sequence_snapshot snapshot() const;
  /// The blocks given at the beginning hold the K and V of the first n_computed positions, of at least one less than
  /// there are; with the logprobs of the tokens behind them, where those are due.
  void arrive(sequence_progress progress);

  /// Of the next n_tokens positions, how many of the last want logits.
  std::uint32_t logits_wanted(std::uint32_t n_tokens) const;
  /// The logits of one position of this step. Draws the next token if it is the last one known, and the one after a
  /// guess as if the guesses before it were right. Called from any thread, for each position once.
  void take_logits(std::uint32_t position, std::span<const float> logits, const kernels::table& table, sampler& sample);
  /// The next n_tokens positions have their K, V and logits: everything that follows from them. True when there is
  /// something to tell.
  bool complete(std::uint32_t n_tokens, sequence_output& output);

 private:
  static constexpr float unknown_acceptance = 0.5f;

  struct draw {
    token_id token = 0;
    float logprob = 0.0f;
    std::vector<token_logprob> top;
    std::optional<error> failure;  // there is no token
  };

  bool draws() const { return has_room() && !ended_before_; }
  bool is_end(token_id token) const;
  bool has_room() const { return n_output() < request_.sampling.max_tokens && n_known() < max_context_; }
  /// The text of the grammar is whole, and must or can only end here.
  bool is_whole() const { return constraint_ && (constraint_->must_end() || (!has_room() && constraint_->may_end())); }
  std::span<const token_id> known() const { return std::span(tokens_).first(n_known_); }
  std::span<const token_id> suppressed(std::uint32_t n_output) const;
  void draw_token(std::uint32_t n_guesses, std::span<const float> logits, sampler& sample, draw& drawn) const;
  void accept_draws(std::uint32_t n_guesses, sequence_output& output);
  void accept(draw& drawn, sequence_output& output);
  void guess();

  sequence_id id_;
  generation_request request_;  // without its tokens
  const tokenizer& vocabulary_;
  std::uint32_t max_context_;
  std::uint32_t n_prompt_;
  std::vector<token_id> tokens_;  // prompt, resumed, generated, guessed; with room for all that may come
  std::uint32_t n_known_ = 0;     // of them, without the guesses
  std::vector<token_id> ends_;    // any of these ends the answer

  sequence_blocks blocks_;
  std::uint32_t n_computed_ = 0;
  bool admitted_ = false;
  bool paused_ = false;
  kv_listener* listener_ = nullptr;
  std::uint32_t n_cached_ = 0;  // prompt tokens found in the prefix cache at the first admission, wherever that was
  bool was_admitted_ = false;

  token_history history_;
  std::optional<grammar_constraint> constraint_;
  token_text text_;
  bool ended_before_ = false;  // the resumed tokens end the answer already

  bool prompt_logprobs_due_ = false;
  std::vector<prompt_token_logprob> prompt_logprobs_;  // (n_prompt) while due
  std::uint32_t n_scored_ = 1;                         // prompt tokens that have theirs; the first has none

  prompt_lookup lookup_;
  std::uint32_t max_guesses_;
  float acceptance_ = unknown_acceptance;

  std::vector<draw> draws_;  // (1 + max_guesses) of this step: after the last known token, after each guess
};

}  // namespace troupe
