// What a request was promised: x-troupe-ttft-ms, x-troupe-tpot-ms, x-troupe-ttlt-ms, x-troupe-deadline-ms and
// x-troupe-priority; and which program it is a call of: x-troupe-program, x-troupe-workflow, x-troupe-step. Or the same
// in the body, as {"troupe": {"ttft_ms": …, "priority": …, "program": …, …}}. The body wins where both speak.
#pragma once

#include "base/generation.hpp"
#include "runtime/http/server.hpp"
#include "runtime/openai/json_fields.hpp"

namespace troupe::openai {

inline constexpr std::int64_t max_objective_ms = 24 * 60 * 60 * 1000;
inline constexpr std::int64_t max_priority = 1'000'000;  // and its negative

inline constexpr std::size_t max_call_name = 128;  // bytes of each name

/// Errors name the header.
result<service_objective> objective_of_headers(const http::request& request);
result<program_call> call_of_headers(const http::request& request);

/// "troupe" and, as in vLLM, a top-level "priority". A member of "troupe" that means nothing is an error: nobody else
/// writes there, so it is a slip of the pen.
void read_objective(field_reader& reader, service_objective& objective, program_call& call);

}  // namespace troupe::openai
