// The status line and headers of an answer. What a handler gives is made safe here: a header whose name is no token is
// dropped, and so is one that only the server may set; no value can break out of its line.
#pragma once

#include "runtime/http/server.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::http {

/// `length` is absent for statuses that have no body.
void append_response_head(std::string& out, int status, std::string_view content_type, const header_list& headers,
                          std::optional<std::size_t> length, bool keep_alive);

/// 200 with server-sent events to follow, as chunks or until the connection closes.
void append_event_stream_head(std::string& out, const header_list& headers, bool chunked, bool keep_alive);

}  // namespace troupe::http
