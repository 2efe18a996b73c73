// Local order: what one step of one worker computes. Continuous batching (Yu et al., Orca, OSDI 2022) with chunked
// prefill (Agrawal et al., Sarathi-Serve, OSDI 2024): every running stream gets its next token first, then what is left
// of the step's token budget goes to prompts, so that a long prompt slows the others down but never stops them. Guessed
// tokens (prompt lookup) are tried where they are likely to be right and cheap to try (Leviathan et al., "Fast
// Inference from Transformers via Speculative Decoding", ICML 2023, has the trade-off).
//
// In which order streams and prompts are served is a policy, chosen by name: local_order.hpp has the plain ones,
// jitserve_goodput.hpp the one that maximises tokens inside their deadlines. Pure: the same state gives the same plan.
// Cost: O(n log n) in the number of sequences.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "policies/jitserve_settings.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::policies {

/// By when a sequence wants what; time_point::max() and zero: it does not say.
struct batch_objective {
  time_point first_token_by = time_point::max();
  duration token_every{0};                 // after the first one
  time_point done_by = time_point::max();  // the last token
  // Of a call of a compound request, whose done_by is only when this call should be done: by when the whole has to be.
  time_point whole_by = time_point::max();
};

/// One sequence of the worker, in the order of arrival within the span.
struct batch_sequence {
  sequence_id id;
  std::uint32_t n_known = 0;     // tokens it consists of so far
  std::uint32_t n_computed = 0;  // of them with K and V
  std::uint32_t n_blocks = 0;    // KV blocks held
  bool admitted = false;
  std::int32_t priority = 0;    // lower is served first
  std::uint32_t n_guessed = 0;  // tokens that may follow the known ones
  float acceptance = 0.0f;      // share of its guesses that were right lately, 0 to 1
  // For policies that look ahead.
  std::uint32_t n_prompt = 0;        // of the known tokens; the others were drawn
  std::uint32_t predicted_left = 1;  // tokens it will still draw, as predicted; at least 1
  time_point arrived{};              // in the cluster
  batch_objective objective{};
  bool running = false;  // had a grant in the last step
  time_point served{};   // when it had its last grant; the epoch: never, or not known
};

struct batch_limits {
  std::uint32_t block_tokens = 16;
  std::uint32_t blocks_free = 0;
  std::uint32_t max_batched_tokens = 512;  // of one step
  std::uint32_t max_sequences = 64;        // admitted at once
  // Prompt tokens of a step while some stream is decoding: what bounds the gap between its tokens. At least 1.
  std::uint32_t interleaved_prefill_tokens = 128;
  // The context at which a token's attention costs as much as all its other work; 0: attention costs nothing. The two
  // budgets of prompt tokens are for an empty context, further into a prompt they buy fewer: a chunk takes as long at
  // its end as at its beginning.
  std::uint32_t attention_context = 0;
  // What a further row of a step costs, as a share of a step of one row.
  float row_cost = 1.0f;
  // For policies that look ahead.
  std::uint32_t max_running = 0;  // sequences that one step computes; 0: max_sequences
  time_point now{};
  duration step_time = std::chrono::milliseconds(20);     // a decode step, lately
  duration token_time = std::chrono::microseconds(1000);  // each prompt token of a step, lately
};

struct batch_grant {
  sequence_id id;
  std::uint32_t n_tokens = 0;  // known ones first, then guesses
  friend bool operator==(const batch_grant&, const batch_grant&) = default;
};

struct batch_plan {
  std::vector<sequence_id> preempt;
  std::vector<batch_grant> grants;
};

class batching_policy {
 public:
  virtual ~batching_policy() = default;
  virtual std::string_view name() const = 0;
  /// Guarantees: grants and preemptions name sequences of the span, none twice, none in both; the grants' blocks fit
  /// blocks_free plus what the preempted hold; sums and counts respect the limits; if any sequence could run alone,
  /// some grant is given.
  virtual batch_plan plan(std::span<const batch_sequence> sequences, const batch_limits& limits) const = 0;
};

/// What the policies that have constants may be told.
struct batching_settings {
  jitserve_settings jitserve;
};

/// The names that make_batching_policy knows, the default first.
std::span<const std::string_view> batching_policy_names();

/// A local order by its name, see local_order.hpp and jitserve_goodput.hpp; errors list the names there are.
result<std::unique_ptr<batching_policy>> make_batching_policy(std::string_view name,
                                                              const batching_settings& settings = {});

}  // namespace troupe::policies
