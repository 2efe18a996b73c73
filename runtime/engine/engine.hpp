// The engine: sequences in, tokens out, one step at a time. It owns the KV blocks and computes; it decides nothing.
// Which sequences a step computes, how many tokens each, and who is preempted comes in as a step_plan from a policy.
//
// An interface, because the simulator runs the real actors over an engine that only models the cost of a step.
// Not thread-safe: one thread (the worker's) calls it. The computing is spread over the engine's own pool inside
// step().
#pragma once

#include "base/generation.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// What a policy may know about a sequence.
struct sequence_status {
  sequence_id id;
  std::uint32_t n_known = 0;     // prompt, resumed and generated tokens
  std::uint32_t n_computed = 0;  // of them, positions that have their K and V (prefix hits included once admitted)
  std::uint32_t n_blocks = 0;    // KV blocks held
  bool admitted = false;         // false: waiting (never granted, or preempted); holds no blocks
  std::uint32_t n_guessed = 0;   // tokens that may follow the known ones; a grant past the known tokens tries them
  float acceptance = 0.0f;       // share of the guesses tried lately that were right, 0 to 1
};

struct engine_status {
  std::uint32_t block_tokens = 16;
  std::uint32_t blocks_total = 0;
  std::uint32_t blocks_free = 0;         // includes cached blocks that nothing refers to: they are evicted on demand
  std::uint32_t blocks_cached = 0;       // the part of blocks_free that still holds a known prefix
  std::uint32_t max_context = 0;         // tokens of a sequence, prompt and answer together
  std::uint32_t max_batched_tokens = 0;  // the largest sum of grants in a step
  std::uint32_t max_sequences = 0;       // admitted at once
  // Of the admitted, those that are paused or arriving (kv_transfer.hpp) and so not among sequences().
  std::uint32_t sequences_in_transfer = 0;
  float row_cost = 1.0f;                // of a further row in a decoding step, as a share of a step of one row
  std::uint32_t attention_context = 0;  // where a token's attention costs as much as all its other work; 0: unknown
  std::uint64_t prefix_tokens_queried = 0;
  std::uint64_t prefix_tokens_hit = 0;
  std::uint64_t guesses_tried = 0;
  std::uint64_t guesses_right = 0;
};

struct step_grant {
  sequence_id id;
  // Positions to compute from n_computed on; cut to the tokens that are known or guessed. Guesses that turn out right
  // make several tokens of one step, the same tokens that as many steps would have drawn.
  std::uint32_t n_tokens = 0;
};

struct step_plan {
  std::vector<sequence_id> preempt;  // give back all blocks; the sequence waits again and is recomputed later
  std::vector<step_grant> grants;    // in the order of computation; a waiting sequence is admitted by its first grant
};

/// What one step did for one sequence.
struct sequence_output {
  sequence_id id;
  std::vector<generated_token> tokens;                // drawn in this step
  std::vector<prompt_token_logprob> prompt_logprobs;  // all of them, in the step that completes the prompt
  finish_reason reason = finish_reason::unfinished;   // anything else: the sequence is gone from the engine
  std::optional<error> failure;                       // set exactly when reason is failed
  token_usage usage;
};

class kv_transfer;

class engine {
 public:
  virtual ~engine() = default;

  /// Takes a request as a waiting sequence. Errors: an empty prompt, a token outside the vocabulary, a prompt that does
  /// not fit max_context (context_length_exceeded) or the whole KV pool, sampling out of range.
  virtual result<sequence_id> add(generation_request request) = 0;

  /// Forgets a sequence, also a paused or an arriving one, and gives back its blocks. Unknown ids are ignored.
  virtual void remove(sequence_id id) = 0;

  /// Computes one step. A grant that finds no free block is left out, as if it had not been given (the policy counts
  /// blocks, so that this is rare). Outputs only for sequences that got a token, prompt logprobs or an end.
  virtual std::vector<sequence_output> step(const step_plan& plan) = 0;

  virtual engine_status status() const = 0;
  /// All sequences that a plan may name, in the order they were added.
  virtual std::vector<sequence_status> sequences() const = 0;
  /// Drops every cached prefix that no sequence refers to.
  virtual void reset_prefix_cache() = 0;

  /// How sequences leave and arrive with their K and V; nullptr: this engine cannot.
  virtual kv_transfer* transfer() { return nullptr; }
};

}  // namespace troupe
