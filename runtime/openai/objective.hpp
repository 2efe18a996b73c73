// What a request was promised: x-troupe-ttft-ms, x-troupe-tpot-ms, x-troupe-deadline-ms and x-troupe-priority, or the
// same in the body as {"troupe": {"ttft_ms": …, "tpot_ms": …, "deadline_ms": …, "priority": …}}. The body wins where
// both speak.
#pragma once

#include "base/generation.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/json_fields.hpp"

namespace troupe::openai {

inline constexpr std::int64_t max_objective_ms = 24 * 60 * 60 * 1000;
inline constexpr std::int64_t max_priority = 1'000'000;  // and its negative

/// Errors name the header.
result<service_objective> objective_of_headers(const http::request& request);

/// "troupe" and, as in vLLM, a top-level "priority". A member of "troupe" that means nothing is an error: nobody else
/// writes there, so it is a slip of the pen.
void read_objective(field_reader& reader, service_objective& objective);

}  // namespace troupe::openai
