// What a client asks of a language model and what comes back: the vocabulary that the HTTP endpoint, the request
// protocol, the scheduler and the engine share. Plain data.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

enum class grammar_kind : std::uint8_t { none, gbnf, json_schema, json_object, tool_calls };
constexpr grammar_kind last_enumerator(grammar_kind) {
  return grammar_kind::tool_calls;
}

/// What the answer has to be a text of.
struct output_grammar {
  grammar_kind kind = grammar_kind::none;
  std::string source;  // the GBNF, the JSON schema or the tools (runtime/grammar/tool_calls.hpp); else empty

  friend bool operator==(const output_grammar&, const output_grammar&) = default;
};

/// How the next token is drawn. The names and ranges are OpenAI's, with vLLM's additions.
struct sampling_params {
  float temperature = 1.0f;         // >= 0; 0 is greedy
  float top_p = 1.0f;               // (0, 1]
  std::int32_t top_k = 0;           // 0 or less: off
  float min_p = 0.0f;               // [0, 1]
  float presence_penalty = 0.0f;    // [-2, 2]
  float frequency_penalty = 0.0f;   // [-2, 2]
  float repetition_penalty = 1.0f;  // > 0; 1 is off
  std::uint64_t seed = 0;           // the token at output index i depends on (seed, i) and on the logits only
  std::vector<std::pair<token_id, float>> logit_bias;
  std::vector<std::string> stop;        // the answer ends before the first of these
  std::vector<token_id> stop_tokens;    // besides the model's own end tokens
  bool include_stop_in_output = false;  // keep the stop string that was met
  bool ignore_eos = false;              // go on past the model's end token (benchmarks)
  std::uint32_t max_tokens = 16;        // may be 0 with prompt_logprobs
  std::uint32_t min_tokens = 0;         // no end token or stop string before this many
  std::int32_t logprobs = -1;           // how many alternatives beside the chosen token; -1: no logprobs at all
  std::int32_t prompt_logprobs = -1;    // the same for each prompt token; -1: off
  output_grammar grammar;               // kind none: any text
};

/// Sentences for the first field out of range, or success.
result<> validate(const sampling_params& params);

/// What the client was promised. A zero duration is "not given".
struct service_objective {
  std::chrono::milliseconds ttft{0};      // time to first token
  std::chrono::milliseconds tpot{0};      // time per output token after the first
  std::chrono::milliseconds deadline{0};  // for the whole answer, from admission; enforced
  std::int32_t priority = 0;              // lower is served first, as in vLLM
  // Time to last token: when an answer is worth most, not enforced. Of a call of a program: of the whole program (and
  // behind the scheduler, what is left of it).
  std::chrono::milliseconds ttlt{0};
  // Kept by those who pass a request on: how long ago it was admitted, and what this call may take of its program's
  // ttlt (0: all of it; negative: it should have ended before it began).
  std::chrono::microseconds elapsed{0};
  std::chrono::milliseconds budget{0};
};

/// A request that is one of several with one purpose: an agent's, say. Empty names: it stands alone.
struct program_call {
  std::string program;   // names this run; its calls share its ttlt
  std::string workflow;  // programs of one workflow are alike
  std::string step;      // calls of one step are alike
};

/// One prompt to continue. `resumed` are output tokens that an earlier epoch has delivered: they are context, not
/// output again.
struct generation_request {
  request_id id;
  std::string model;
  std::vector<token_id> prompt;
  std::vector<token_id> resumed;
  sampling_params sampling;
  service_objective objective;
  std::string tenant;  // salts the prefix cache: tenants never share blocks. Empty: the shared tenant
  program_call call;
};

struct token_logprob {
  token_id token = 0;
  float logprob = 0.0f;
};

/// One token of a stream. `text` is what this token adds to the answer as whole UTF-8 characters; it can be empty while
/// a character or a possible stop string is incomplete.
struct generated_token {
  std::uint32_t index = 0;  // 0, 1, 2, … without gap in every stream
  token_id token = 0;
  std::string text;
  float logprob = 0.0f;            // natural logarithm; valid when logprobs were asked for
  std::vector<token_logprob> top;  // descending
};

/// Logprob of one prompt token given those before it. The first has none (logprob 0, no top).
struct prompt_token_logprob {
  token_id token = 0;
  float logprob = 0.0f;
  std::vector<token_logprob> top;
};

enum class finish_reason : std::uint8_t { unfinished, stop, length, cancelled, failed };
constexpr finish_reason last_enumerator(finish_reason) {
  return finish_reason::failed;
}

std::string_view to_string(finish_reason reason);

struct token_usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;  // of the prompt, found in the prefix cache
  std::uint32_t completion_tokens = 0;
};

}  // namespace troupe
