#include "runtime/http/response_head.hpp"

#include "runtime/http/text.hpp"

#include <algorithm>
#include <array>

namespace troupe::http {

namespace {

constexpr std::array<std::string_view, 7> owned_headers{"connection", "content-length",    "content-type", "date",
                                                        "keep-alive", "transfer-encoding", "upgrade"};

/// One formatting a second, on the server's thread.
const std::string& current_date() {
  thread_local std::chrono::system_clock::time_point formatted_at;
  thread_local std::string date;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (now != formatted_at) {
    formatted_at = now;
    date = http_date(now);
  }
  return date;
}

void append_status_line(std::string& out, int status) {
  if (status < 200 || status > 599) status = 500;
  out.append("HTTP/1.1 ").append(std::to_string(status)) += ' ';
  out.append(reason_phrase(status)).append("\r\ndate: ").append(current_date()).append("\r\n");
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(safe_header_value(value)).append("\r\n");
}

void append_given_headers(std::string& out, const header_list& headers) {
  for (const auto& [name, value] : headers) {
    if (!is_header_name(name)) continue;
    if (std::any_of(owned_headers.begin(), owned_headers.end(), [&](auto owned) { return iequals(owned, name); }))
      continue;
    append_header(out, name, value);
  }
}

}  // namespace

void append_response_head(std::string& out, int status, std::string_view content_type, const header_list& headers,
                          std::optional<std::size_t> length, bool keep_alive) {
  append_status_line(out, status);
  if (!content_type.empty()) append_header(out, "content-type", content_type);
  if (length) append_header(out, "content-length", std::to_string(*length));
  append_header(out, "connection", keep_alive ? "keep-alive" : "close");
  append_given_headers(out, headers);
  out += "\r\n";
}

void append_event_stream_head(std::string& out, const header_list& headers, bool chunked, bool keep_alive) {
  append_status_line(out, 200);
  out += "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n";
  if (chunked) out += "transfer-encoding: chunked\r\n";
  append_header(out, "connection", keep_alive ? "keep-alive" : "close");
  append_given_headers(out, headers);
  out += "\r\n";
}

}  // namespace troupe::http
