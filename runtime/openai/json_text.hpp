// Writing JSON by appending to a string. A streamed token is one small document, so the hot path builds no tree: fixed
// parts are copied and only the text is escaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::openai {

/// In quotes. The text must be UTF-8; a line break comes out as \n, so the result fits on one line of an event.
void append_json_string(std::string& out, std::string_view text);

void append_json_integer(std::string& out, std::int64_t value);

/// The shortest digits that read back as the same float. JSON has no infinity: a logprob of -inf or NaN is written as
/// -9999.0, as vLLM does.
void append_json_logprob(std::string& out, float value);

}  // namespace troupe::openai
