// What an engine driver tells its worker, inside one process.
#pragma once

#include "actors/protocols/request.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace troupe {

/// What one turn of the engine did for one request.
struct request_progress {
  request_id request;
  std::uint64_t run = 0;  // as given with the request: it may have been begun anew since
  std::vector<prompt_token_logprob> prompt;
  std::vector<generated_token> tokens;
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;
  std::optional<error> failure;  // set exactly when reason is failed
};

/// One turn of the engine: what it did for each request, and how busy it is now.
struct engine_report {
  std::vector<request_progress> progress;
  load_report load;
  std::optional<error> engine_failure;  // the engine is unusable; nothing more will come
};

}  // namespace troupe
