// The relocation protocol: a request moves from one worker to another with its K and V. Two occasions: the hand-off of
// a prefilled request (DistServe, Zhong et al., OSDI 2024), which begins with its prefill, and the live migration of a
// running one (Llumnix, Sun et al., OSDI 2024), which the scheduler asks for.
//
//   scheduler            source                                   target                     scheduler, gateway
//      |--- relocate ------>|                                        |
//      |  (or assign with   |--- offer_relocation ------------------>|  reserves blocks
//      |   a target)        |<-- relocation_accepted (ticket) -------|  or relocation_refused: full, another model
//      |                    |=== full blocks, as bulk memory =======>|  while the source goes on computing
//      |                    |                                        |  (a prompt: layer by layer within a step)
//      |                    |=== those computed meanwhile ==========>|  until hardly any are left
//      |                    | pauses the request                     |
//      |                    |=== the rest ==========================>|
//      |                    |--- commit_relocation (epoch + 1) ----->|  waits for the rest, commits
//      |                    |                                        |--- request_taken -------->|
//      |                    |<-- relocation_done --------------------|--- token_chunk ---------->|
//      |                    | forgets the request                    |
//      |                    |--- request_given ----------------------------------------------->|
//
//   either side, until then: abort_relocation; the request stays with the source, which goes on
//
// As the source sees it (departure_state):              As the target sees it (arrival_state):
//
//               accepted          rest sent                        reserved           commit
//   offering -----------> copying ----------> committing     reserving -------> filling -------> completing
//      | refused,            | abort,            | done: gone        | no room       | abort,        | filled: taken
//      | abort, down,        | down, late        | abort: resumes    | abort,        | down,         | broken: aborted,
//      v late                v                   | down, late:       v down          v broken        v  the source
//      resumes
//    (stays)               (stays)               v resumes, epoch+2 (forgotten)    (forgotten)
//
// Ownership: by epoch. The target owns the request from request_taken on. A source that cannot know whether the target
// took it goes on with an epoch above the target's: whoever has the highest epoch owns, the scheduler tells the other
// to stop, and since both draw the same tokens (rule 5) the gateway loses and repeats none. Epochs of one incarnation
// are handed from owner to owner; a request that was lost gets a new incarnation (next_incarnation), and nothing that
// an older one says counts.
//
// Idempotency: the key of every message is the relocation's number; what carries an unknown one is dropped, an offer
// for a request that is here already is refused. Time-outs: 2 s for each step at the source; at the target, the loss of
// the source, or 10 s without a commit. Failpoints: relocation.offer, .accept, .copy, .pause, .commit, .broken, .taken,
// .done.
#pragma once

#include "actors/protocols/request.hpp"
#include "base/fields.hpp"
#include "base/generation.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Names one attempt to move one request, and no other: the source counts from a random number on.
using relocation_id = strong_id<struct relocation_id_tag>;

/// scheduler -> source, with the target's handle as second element.
struct relocate_request {
  request_id request;
};
TROUPE_FIELDS(relocate_request, request)

/// scheduler -> source, with the target's handle as second element: a running request of the source's choice, if it has
/// one that may leave.
struct relocate_some {};
TROUPE_FIELDS(relocate_some)

/// source -> target, with the gateway's handle as second element.
struct offer_relocation {
  relocation_id relocation;
  generation_request request;  // resumed: what was drawn so far
  troupe::epoch epoch;         // of the source
  std::uint32_t n_tokens = 0;  // positions to make room for
  std::uint64_t fingerprint_low = 0;
  std::uint64_t fingerprint_high = 0;
};
TROUPE_FIELDS(offer_relocation, relocation, request, epoch, n_tokens, fingerprint_low, fingerprint_high)

/// target -> source. The ticket's parts are the blocks from first_block on, each cut into so many layers (the last part
/// of a block may have fewer).
struct relocation_accepted {
  relocation_id relocation;
  std::uint64_t ticket = 0;
  std::uint32_t first_block = 0;  // those before are known at the target
  std::uint32_t n_blocks = 0;
  std::uint32_t layers_per_part = 0;
};
TROUPE_FIELDS(relocation_accepted, relocation, ticket, first_block, n_blocks, layers_per_part)

/// target -> source.
struct relocation_refused {
  relocation_id relocation;
  std::string reason;
};
TROUPE_FIELDS(relocation_refused, relocation, reason)

/// source -> target: no block is sent after these, and the request is paused.
struct commit_relocation {
  relocation_id relocation;
  troupe::epoch epoch;  // the target's, when it takes the request
  std::uint32_t n_parts = 0;
  std::vector<token_id> resumed;  // every token drawn so far
  std::uint32_t n_computed = 0;   // positions with K and V
  std::uint32_t cached_tokens = 0;
  std::vector<prompt_token_logprob> prompt_logprobs;
};
TROUPE_FIELDS(commit_relocation, relocation, epoch, n_parts, resumed, n_computed, cached_tokens, prompt_logprobs)

/// target -> source: it is mine.
struct relocation_done {
  relocation_id relocation;
  std::uint64_t taken_after_us = 0;  // from the commit's arrival until the engine had the request
};
TROUPE_FIELDS(relocation_done, relocation, taken_after_us)

/// Either way.
struct abort_relocation {
  relocation_id relocation;
  std::string reason;
};
TROUPE_FIELDS(abort_relocation, relocation, reason)

/// The new owner -> scheduler, before its first token.
struct request_taken {
  request_id request;
  troupe::epoch epoch;
  worker_id worker;
};
TROUPE_FIELDS(request_taken, request, epoch, worker)

/// The old owner -> scheduler, with the new owner's handle as second element, when it hears that it is done: should the
/// new one be lost before its own word arrives, nobody else would know.
struct request_given {
  request_id request;
  troupe::epoch epoch;  // of the new owner
};
TROUPE_FIELDS(request_given, request, epoch)

// Epochs: the upper half counts incarnations, the lower one owners within an incarnation.

constexpr epoch first_epoch() {
  return epoch{1u << 16};
}
constexpr std::uint32_t incarnation(epoch of) {
  return of.value >> 16;
}
constexpr epoch next_owner(epoch of) {
  return epoch{of.value + 1};
}
constexpr epoch next_incarnation(epoch of) {
  return epoch{(incarnation(of) + 1) << 16};
}

enum class departure_state : std::uint8_t { offering, copying, committing };
enum class departure_event : std::uint8_t { accepted, refused, rest_sent, done, aborted, down, late };
/// What becomes of a departure; nullopt as `becomes` with accepted: it is over.
struct departure_transition {
  bool accepted;
  std::optional<departure_state> becomes;
  std::string_view note;
};
departure_transition next(departure_state state, departure_event event);

enum class arrival_state : std::uint8_t { reserving, filling, completing };
enum class arrival_event : std::uint8_t { reserved, no_room, commit, filled, broken, aborted, down };
struct arrival_transition {
  bool accepted;
  std::optional<arrival_state> becomes;
  std::string_view note;
};
arrival_transition next(arrival_state state, arrival_event event);

std::string_view to_string(departure_state state);
std::string_view to_string(departure_event event);
std::string_view to_string(arrival_state state);
std::string_view to_string(arrival_event event);

}  // namespace troupe
