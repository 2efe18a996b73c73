// An HTTP/1.1 server on one thread: requests whole, responses whole or streamed. It knows nothing of models.
//
// Boost.Asio and Boost.Beast stay inside this folder's sources. The handler runs on the server's thread and must not
// block; a response_stream may be used from any thread, then or later.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

struct limits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t header_lines = 64;
  std::size_t body_bytes = 1024 * 1024;
  std::size_t connections = 1280;                    // past it new ones are answered 503 and closed
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte of a request to the end of its headers
  std::chrono::milliseconds body_timeout{30'000};    // the same for the body
  std::chrono::milliseconds idle_timeout{75'000};    // between requests of a kept-alive connection
  std::chrono::milliseconds stalled_write_timeout{30'000};  // a client that takes no byte for this long is gone
  std::size_t unsent_bytes = 1024 * 1024;                   // of one stream; a client further behind is gone
  std::chrono::milliseconds ping_interval{15'000};  // server-sent-event comment on a stream that has nothing to say
};

struct options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  // 0: the system's choice
  http::limits limits;
};

using header_list = std::vector<std::pair<std::string, std::string>>;

struct request {
  std::string method;  // "GET"
  std::string path;    // decoded, without the query
  std::string query;   // as sent
  header_list headers;
  std::string body;

  /// Case-insensitive; the first of that name.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct response {
  int status = 200;
  std::string content_type = "application/json";
  header_list headers;
  std::string body;
};

/// The answer to one request. Exactly one of send() or start_events() starts it; dropping the last reference without
/// either answers 500. Thread-safe; calls after the client has gone do nothing.
class response_stream {
 public:
  virtual ~response_stream() = default;
  virtual void send(response whole) = 0;
  /// Status 200, text/event-stream.
  virtual void start_events(header_list headers) = 0;
  /// One event, `data: <text>\n\n`; text has no line breaks.
  virtual void send_event(std::string_view data) = 0;
  virtual void end_events() = 0;
  /// Called once, on the server's thread, if the client goes before the answer is complete (closed, reset, stalled),
  /// and when the server stops. A client that only closes its sending side counts as gone, since TCP does not tell the
  /// two apart; an answer that is given all the same is still tried. Called at once, on the caller's thread, if the
  /// client has gone already.
  virtual void on_disconnect(std::function<void()> callback) = 0;
};

using handler = std::function<void(request, std::shared_ptr<response_stream>)>;

/// Called with what the server itself refuses (malformed bytes, too large, timed out), to give it the endpoint's error
/// shape.
using error_formatter = std::function<response(int status, std::string_view message)>;

struct server_status {
  std::size_t connections = 0;
  std::uint64_t requests_total = 0;
  std::uint64_t rejected_total = 0;
};

class server {
 public:
  server(options opts, handler handle, error_formatter format_error);
  ~server();  // stop()

  /// Binds and starts the thread. Errors: address in use, not an address of this machine, no permission.
  result<> start();
  std::uint16_t port() const;
  /// Refuses new connections at once, gives running answers until the time-out, then closes.
  void stop(std::chrono::milliseconds drain = std::chrono::milliseconds(0));
  server_status status() const;

 private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe::http
