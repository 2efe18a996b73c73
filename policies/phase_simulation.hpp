// One unit of a placement, simulated: the smallest set of instances that serves requests by itself. The planner asks it
// what a placement would do before anything is started (DistServe, OSDI 2024, section 4).
//
//   prefill_only     prompts, first come first served; batches of at most max_batched_tokens
//   decode_only      requests whose K and V are already there; continuous batching
//   disaggregated    n_prefill instances hand over to n_decode instances; K and V are pulled over a link, by one
//   request
//                    at a time, and stay with the prompt's instance until then, which is the back-pressure
//   prefill_first    both phases on each of n_prefill instances; prompts go before decoding
//   chunked_prefill  the same, but a step decodes everything and computes at most chunk_tokens of prompts beside it
//
// An instance of `pp` pipeline stages works on up to pp batches at a time, each passing stage after stage in the time
// of the whole divided by pp, and between them the way of the activations; unequal batches wait for each other, so the
// bubbles are in the numbers. Each running sequence belongs to one of the pp batches. A new request goes to the
// instance with the fewest queued and running. When K and V outgrow an instance the newest sequence is set aside and
// returns first; moving it costs nothing here, so numbers past that point flatter.
//
// Pure and deterministic. Cost: O(log instances) a step, however many sequences it decodes.
#pragma once

#include "policies/step_cost.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::policies {

struct simulated_request {
  double arrival_s = 0;
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
};

/// What a request saw. decode_only: ttft is 0, the first token is there on arrival.
struct request_timing {
  double ttft_s = 0;
  double tpot_s = 0;      // mean of the gaps between its tokens; 0 when it has one token only
  bool rejected = false;  // would never fit; the others are not held up
};

enum class unit_kind : std::uint8_t { prefill_only, decode_only, disaggregated, prefill_first, chunked_prefill };
std::string_view to_string(unit_kind kind);

struct simulated_instance {
  step_cost cost{};  // of a pass through all layers, whatever pp
  std::uint32_t pp = 1;
  double hop_ms_per_token = 0;  // from a stage to the next; stages do not wait for it, tokens do
  std::uint64_t kv_tokens = std::numeric_limits<std::uint64_t>::max();  // that fit its memory
  std::uint32_t max_batched_tokens = 4096;  // of prompts in one step; a longer prompt is a batch of its own
  std::uint32_t max_sequences = 256;        // of one batch
};

struct simulated_unit {
  unit_kind kind = unit_kind::prefill_first;
  simulated_instance prefill{};  // of the kinds that do both phases as well
  std::uint32_t n_prefill = 1;
  simulated_instance decode{};
  std::uint32_t n_decode = 1;
  std::uint32_t chunk_tokens = 512;
  double kv_bytes_per_token = 0;
  double kv_bytes_per_s = 0;  // of the link into a decode instance; 0: K and V are there at once
  // A decode instance pulls the next request only while those it has pulled and not started hold less than this share
  // of its memory (DistServe's waiting_block_prop_threshold); 1: whenever it fits.
  double waiting_share = 0.05;
};

/// Ends a simulation early, once more requests than allowed have missed a target: the rest does not matter then.
struct miss_limit {
  double ttft_s = std::numeric_limits<double>::infinity();
  double tpot_s = std::numeric_limits<double>::infinity();
  std::uint64_t misses = std::numeric_limits<std::uint64_t>::max();
};

struct unit_outcome {
  std::vector<request_timing> requests;   // in the order given
  std::uint64_t steps = 0;                // of all instances
  std::uint64_t tokens = 0;               // prompts' and drawn ones
  std::uint64_t set_aside = 0;            // times that a sequence was
  bool stopped = false;                   // at the limit of misses; `requests` is incomplete
  std::uint64_t peak_waiting_tokens = 0;  // pulled and not started, of one decode instance
};

/// `requests` in order of arrival, prompts and outputs of at least one token; asserts on it, on units without instances
/// and on instances of no or more than 64 stages.
unit_outcome simulate_unit(const simulated_unit& unit, std::span<const simulated_request> requests,
                           const miss_limit& limit = {});

}  // namespace troupe::policies
