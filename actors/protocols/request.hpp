// The request protocol: one prompt from a client to a worker and its tokens back.
//
//   gateway                     scheduler                         worker
//      |--- submit ---------------->|                                |
//      |                            | (queued, until a worker has room)
//      |                            |--- assign -------------------->|
//      |<-- token_chunk --------------------------------------------|   as often as a step drew tokens
//      |<-- request_ended ------------------------------------------|   exactly once for each (request, epoch)
//      |                            |<-- request_ended -------------|
//      |--- cancel_request -------->|--- cancel_request ------------>|   the worker ends it with reason cancelled
//      |                            |
//      |<-- request_ended ----------|   refused (queue full, no worker), cancelled while queued, deadline passed
//      |<-- request_lost -----------|   its worker died: the gateway submits again, with what was delivered, as the
//      |                            |   next incarnation (relocation.hpp has what an epoch is)
//
// As the scheduler sees a request (request_state), and what each event does to it (next()):
//
//               submit           assign             ended
//     (unknown) ------> queued --------> assigned --------> (forgotten)
//                         | cancel,         | cancel          ^
//                         | deadline        v                 | ended, worker_down
//                         v              cancelling ----------+
//                     (forgotten)           ^
//                                 deadline  | (the client has its answer; the worker's end is awaited)
//     assigned -- worker_down --> (forgotten, request_lost sent)
//
// Idempotency: the key of every message is (request, epoch). A token_chunk also carries indices; the gateway emits
// index i only after i - 1 and once. Whatever carries an older epoch is discarded on arrival and counted. Time-outs:
// the request's own deadline, held by the scheduler. Queues: the scheduler's, bounded; at the bound a submit ends with
// errc::overloaded. Failpoints: request.submit, request.assign, request.chunk, request.end, engine.step.
#pragma once

#include "base/fields.hpp"
#include "base/generation.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// gateway -> scheduler. The sender is whom tokens go to.
struct submit_request {
  generation_request request;
  troupe::epoch epoch;
};

/// scheduler -> worker, with the gateway's handle as second element. Precondition: the worker reported room.
struct assign_request {
  generation_request request;
  troupe::epoch epoch;
  std::uint64_t number = 0;  // of this worker's assignments: counts up
};

/// worker -> gateway.
struct token_chunk {
  request_id request;
  troupe::epoch epoch;
  std::vector<prompt_token_logprob> prompt;  // once, before the first token, if asked for
  std::vector<generated_token> tokens;
};

/// worker or scheduler -> gateway; worker -> scheduler.
struct request_ended {
  request_id request;
  troupe::epoch epoch;
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;
  errc failure = errc::internal;  // meaningful when reason is failed
  std::string message;
  std::string param;
};

/// gateway -> scheduler -> worker. With an epoch other than 0, from the scheduler: somebody else owns it; the worker
/// drops it without a word, if it has it in this epoch.
struct cancel_request {
  request_id request;
  troupe::epoch epoch;
};

/// scheduler -> gateway.
struct request_lost {
  request_id request;
  troupe::epoch epoch;
};

/// What has become of a worker's relocations since it started.
struct relocation_counts {
  std::uint64_t moved = 0;     // requests that left it for another worker
  std::uint64_t refused = 0;   // the other one had no room, or would not
  std::uint64_t failed = 0;    // ended before their end; the request went on here
  std::uint64_t pause_us = 0;  // of those that moved: from the pause until the other one's engine had it, less the way
                               // of the message between them
};

/// worker -> scheduler after each step and each change of its load: what dispatch decides on.
struct load_report {
  worker_id worker;
  std::uint32_t sequences = 0;          // in the engine
  std::uint32_t sequences_running = 0;  // of them admitted
  std::uint32_t max_sequences = 0;
  std::uint32_t blocks_total = 0;
  std::uint32_t blocks_used = 0;
  std::uint32_t blocks_cached = 0;
  std::uint32_t tokens_to_compute = 0;  // prompt tokens still to be prefilled
  std::uint64_t prefix_tokens_queried = 0;
  std::uint64_t prefix_tokens_hit = 0;
  std::uint64_t guesses_tried = 0;  // tokens guessed ahead and computed
  std::uint64_t guesses_right = 0;  // of them those that were drawn
  relocation_counts relocations;
  std::uint64_t assigned = 0;       // the last assignment (its number) that the figures above include
  std::uint32_t blocks_wanted = 0;  // by the first sequence that waits; 0: none does
  std::uint64_t blocks_queued = 0;  // by all that wait
  std::uint32_t step_us = 0;        // what a decode step took lately; 0: none was taken
  std::uint32_t token_ns = 0;       // what each prompt token added to a step lately; 0: none was computed
};

/// scheduler -> subscribers (gateways): the sum over its workers.
struct scheduler_report {
  std::uint32_t workers = 0;
  std::uint32_t requests_queued = 0;
  std::uint32_t requests_assigned = 0;
  load_report total;
};

enum class request_state : std::uint8_t { queued, assigned, cancelling };
enum class request_event : std::uint8_t { submit, assign, cancel, deadline, ended, worker_down };

std::string_view to_string(request_state state);
std::string_view to_string(request_event event);

/// What an event does to a request the scheduler holds.
struct request_transition {
  bool accepted;                         // false: the event has no meaning here; it is counted and dropped
  std::optional<request_state> becomes;  // nullopt with accepted: the scheduler forgets the request
  std::string_view note;                 // why it is rejected, or what happens
};

/// The diagram above as a function; tests walk every pair.
request_transition next(request_state state, request_event event);

// One inspect a struct, for CAF and for MessagePack (transport/wire). Fields are only ever appended.
template <class F, class Tag, class Rep>
typename F::result_type inspect(F& f, strong_id<Tag, Rep>& x) {
  return f(x.value);
}
TROUPE_FIELDS(output_grammar, kind, source)
TROUPE_FIELDS(sampling_params, temperature, top_p, top_k, min_p, presence_penalty, frequency_penalty,
              repetition_penalty, seed, logit_bias, stop, stop_tokens, include_stop_in_output, ignore_eos, max_tokens,
              min_tokens, logprobs, prompt_logprobs, grammar)
TROUPE_FIELDS(service_objective, ttft, tpot, deadline, priority, ttlt, elapsed, budget)
TROUPE_FIELDS(program_call, program, workflow, step)
TROUPE_FIELDS(generation_request, id, model, prompt, resumed, sampling, objective, tenant, call)
TROUPE_FIELDS(token_logprob, token, logprob)
TROUPE_FIELDS(generated_token, index, token, text, logprob, top)
TROUPE_FIELDS(prompt_token_logprob, token, logprob, top)
TROUPE_FIELDS(token_usage, prompt_tokens, cached_tokens, completion_tokens)
TROUPE_FIELDS(submit_request, request, epoch)
TROUPE_FIELDS(assign_request, request, epoch, number)
TROUPE_FIELDS(token_chunk, request, epoch, prompt, tokens)
TROUPE_FIELDS(request_ended, request, epoch, reason, usage, failure, message, param)
TROUPE_FIELDS(cancel_request, request, epoch)
TROUPE_FIELDS(request_lost, request, epoch)
TROUPE_FIELDS(relocation_counts, moved, refused, failed, pause_us)
TROUPE_FIELDS(load_report, worker, sequences, sequences_running, max_sequences, blocks_total, blocks_used,
              blocks_cached, tokens_to_compute, prefix_tokens_queried, prefix_tokens_hit, guesses_tried, guesses_right,
              relocations, assigned, blocks_wanted, blocks_queued, step_us, token_ns)
TROUPE_FIELDS(scheduler_report, workers, requests_queued, requests_assigned, total)

}  // namespace troupe
