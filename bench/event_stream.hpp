// One streamed completion over a raw socket, with the time of each event: a client that costs next to nothing, so that
// what is measured is the server.
#pragma once

#include "base/ids.hpp"
#include "bench/clock.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::bench {

class event_stream {
 public:
  /// Connects to 127.0.0.1 and asks for n_answer greedy tokens.
  event_stream(std::uint16_t port, std::span<const token_id> prompt, std::uint32_t n_answer);
  event_stream(event_stream&& other) noexcept;
  event_stream& operator=(event_stream&&) = delete;
  ~event_stream();

  int socket() const { return socket_; }
  /// Reads what has come; waits if nothing has. False once the stream has ended or broken.
  bool read_some();
  /// Reads to the end.
  void read_all();

  clock::time_point asked() const { return asked_; }
  /// Of each event that brought text, in order.
  const std::vector<clock::time_point>& arrivals() const { return arrivals_; }
  /// It ended with [DONE].
  bool complete() const { return complete_; }

 private:
  int socket_ = -1;
  clock::time_point asked_;
  std::vector<clock::time_point> arrivals_;
  std::string unread_;  // bytes after the last whole line
  bool complete_ = false;
};

/// The status of GET path on 127.0.0.1; 0 when nobody answers.
int http_status(std::uint16_t port, std::string_view path);

}  // namespace troupe::bench
