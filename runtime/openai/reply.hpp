// The answer to one HTTP request as the endpoint gives it: every response carries the same headers (x-request-id,
// CORS), and when it is complete one record of it goes to whoever keeps logs and metrics.
//
// Used by one thread at a time.
#pragma once

#include "base/generation.hpp"
#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::openai {

/// What became of one HTTP request.
struct request_record {
  std::string id;           // x-request-id
  std::string traceparent;  // W3C, valid; empty when there was none
  std::string user;         // as the client gave it
  std::string method;
  std::string_view route;  // of the table of routes ("/v1/models/{id}"), so that it can label a metric; empty: no route
  int status = 0;
  std::string_view error_code;  // empty on success
  bool streamed = false;
  bool client_gone = false;  // the client left before the end
  std::chrono::microseconds duration{0};
  std::chrono::microseconds first_token{0};  // from arrival; 0: none came
  token_usage usage;
};

/// Called once a request, from any thread; must not block.
using record_sink = std::function<void(const request_record&)>;

class reply {
 public:
  /// `headers` go on every response. The time of the record begins now.
  reply(std::shared_ptr<http::response_stream> stream, http::header_list headers, request_record record,
        record_sink sink);

  void send(http::response whole);
  void refuse(const error& failure, std::string_view allowed_methods = {});

  void start_events();
  void send_event(std::string_view data);
  void end_events();
  /// A failure after the status line has gone: an event with the error object, and the end.
  void fail_events(const error& failure);

  void on_disconnect(std::function<void()> callback);
  /// Nobody is there to answer: only the record is written.
  void abandon();

  const std::string& id() const { return record_.id; }
  const std::string& traceparent() const { return record_.traceparent; }
  void note_user(std::string user) { record_.user = std::move(user); }
  void note_first_token();
  void note_usage(const token_usage& usage) { record_.usage = usage; }

 private:
  void finish(int status, std::string_view error_code);

  std::shared_ptr<http::response_stream> stream_;
  http::header_list headers_;
  request_record record_;
  record_sink sink_;
  std::chrono::steady_clock::time_point arrival_;
};

}  // namespace troupe::openai
