// A server on a port of the system's choice with the few routes that the tests need.
#pragma once

#include "runtime/http/server.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::http::test {

/// GET /hello, anything on /echo ("METHOD path?query|body"), /headers (the request's as lines), /throw, /drop, /hold
/// (the stream is kept in `held`), /stream/N (N events from the server's thread), /inject, /empty (204), /large/N (N
/// bytes); else 404.
class test_server {
 public:
  explicit test_server(const limits& bounds = {});

  std::uint16_t port() const { return server_.port(); }
  http::server& server() { return server_; }
  /// The next stream that /hold kept; waits for it.
  std::shared_ptr<response_stream> wait_held();

 private:
  void answer(request asked, std::shared_ptr<response_stream> stream);

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::shared_ptr<response_stream>> held_;
  http::server server_;
};

/// Waits until the condition holds; false when it does not in time.
bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience = std::chrono::seconds(5));

/// "GET <path>" over HTTP/1.1 with a Host.
std::string get(std::string_view path, std::string_view more_headers = {});
std::string post(std::string_view path, std::string_view body);

}  // namespace troupe::http::test
