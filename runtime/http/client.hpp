// A small blocking HTTP/1.1 client for the command line and the client library: one connection a call, plain http.
#pragma once

#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::http {

struct client_limits {
  std::size_t header_bytes = 64 * 1024;
  std::size_t body_bytes = 64 * 1024 * 1024;  // of one answer; a stream of events has no limit as a whole
  std::size_t event_bytes = 16 * 1024 * 1024;
  std::chrono::milliseconds connect_timeout{10'000};
};

/// One call at a time; cancel() from any thread. Errors: errc::invalid_argument (URL, method, header), unsupported
/// (https), unavailable (no connection, or lost), deadline_exceeded, too_large, corrupt (not HTTP), cancelled.
class client {
 public:
  explicit client(client_limits bounds = {});
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Any status is a response, not an error. `timeout` is for the call as a whole.
  result<response> request(std::string_view method, std::string_view url, const header_list& headers = {},
                           std::string_view body = {}, std::chrono::milliseconds timeout = std::chrono::seconds(60));

  /// POSTs (GETs, if the body is empty) and calls back with the data of each event until the stream ends or the
  /// callback returns false. The response has the status and headers; its body is what came if the answer is no event
  /// stream, say an error in JSON. `silence` is the longest time without a byte, comments included; a stream that ends
  /// before its last chunk is errc::unavailable.
  result<response> stream_events(std::string_view url, const header_list& headers, std::string_view body,
                                 const std::function<bool(std::string_view data)>& on_data,
                                 std::chrono::milliseconds silence = std::chrono::seconds(60));

  /// Ends the running call, and every later one, with errc::cancelled.
  void cancel();

 private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe::http
