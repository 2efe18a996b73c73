// The fields that chat and text completions have in common: model, sampling, lengths, streaming, objectives and the
// cache salt.
#pragma once

#include "base/generation.hpp"
#include "runtime/openai/json_fields.hpp"
#include "runtime/openai/request_limits.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::openai {

struct generation_fields {
  std::string model;          // empty: the model served
  sampling_params sampling;   // seed and max_tokens are settled later, once the prompt is known
  std::string grammar_field;  // what asked for sampling.grammar
  std::optional<std::uint32_t> max_tokens;
  std::optional<std::int64_t> seed;
  std::uint32_t n = 1;
  bool stream = false;
  bool include_usage = false;
  std::string user;
  std::string cache_salt;
  service_objective objective;
  program_call call;
};

/// `fields` comes in with the defaults: those of the server for sampling, those of the headers for the objective.
void read_generation_fields(field_reader& reader, const request_limits& limits, generation_fields& fields);

/// Refuses the fields that would change the answer and that this version does not act on. To ignore them would give an
/// answer that is not the one asked for.
void refuse_unsupported_fields(field_reader& reader);

}  // namespace troupe::openai
