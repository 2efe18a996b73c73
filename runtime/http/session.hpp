// One connection: a state machine on the server's thread that reads requests, hands them to the handler one at a time
// and writes the answers.
//
//   idle -> headers -> body -> answering -> idle        (kept alive; pipelined requests wait in `input_`)
//     any of them -> closing -> lingering -> closed     (refused, Connection: close, stop)
//     any of them -> closed                             (the client is gone)
//
// A read is pending in every state, so that a client that goes is noticed while its answer is being made. The end of a
// client's bytes can mean "gone" or "I have said all I wanted" (shutdown(SHUT_WR)), and TCP does not tell which. It
// counts as gone, because work for nobody is the costlier mistake: on_disconnect is called. An answer that comes all
// the same is still written, so a half-closed client gets every answer whose handler does not stop at on_disconnect.
//
// Sockets are non-blocking and waited for, not handed to the operating system with a buffer: an idle connection owns no
// buffer, and an event reaches the socket in the same turn that took it from the outbox.
#pragma once

#include "runtime/http/exchange.hpp"
#include "runtime/http/request_parser.hpp"
#include "runtime/http/server.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace troupe::http {

class session;

/// What all connections of a server share. Used on the server's thread only, but for the counters.
struct session_context {
  http::limits limits;
  http::handler handle;
  error_formatter format_error;
  std::shared_ptr<http::outbox> outbox;
  std::unordered_map<session*, std::shared_ptr<session>> sessions;
  bool draining = false;
  std::function<void()> on_last_session_closed;
  std::array<char, 64 * 1024> scratch;  // what read() fills before it is known where the bytes belong
  std::atomic<std::size_t> connections{0};
  std::atomic<std::uint64_t> requests_total{0};
  std::atomic<std::uint64_t> rejected_total{0};

  /// The formatter's answer, or a plain one should it throw.
  response error_response(int status, const std::string& message) const;
};

class session final : public std::enable_shared_from_this<session>, private exchange_reader {
 public:
  session(session_context& context, boost::asio::ip::tcp::socket socket);
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void start();
  /// Answers this status without reading a request, then closes.
  void start_refused(int status, const std::string& message);
  /// Closes now if nothing is being answered, otherwise after the answer.
  void drain();
  /// Closes now; a running answer is cut.
  void close();

 private:
  enum class stage { idle, headers, body, answering, closing, lingering, closed };
  using clock = std::chrono::steady_clock;
  using error_code = boost::system::error_code;

  template <class Turn>
  void guarded(Turn turn);

  void wait_readable();
  void on_readable();
  void on_input_end();
  void parse_input();
  void begin_request();
  void refuse(int status, const std::string& message);

  void on_written() override;
  void write_part();
  void append_whole(const response& whole, bool with_body);
  void append_error(int status, const std::string& message);
  void append_event_head(const header_list& headers);
  void flush();
  void on_flushed();
  void finish_exchange();
  void linger();

  void set_deadline(clock::time_point when);
  void arm_timer();
  void on_deadline();

  session_context& context_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  stage stage_ = stage::idle;
  clock::time_point deadline_ = clock::time_point::max();
  clock::time_point armed_ = clock::time_point::max();  // when the timer will fire; never later than the deadline

  std::string input_;  // read, not parsed
  std::optional<request_parser> parser_;
  std::shared_ptr<exchange> exchange_;
  std::string output_;  // to write, from output_offset_ on
  std::size_t output_offset_ = 0;

  bool reading_ = false;       // a wait for input is pending
  bool writing_ = false;       // a wait for room is pending
  bool blocked_ = false;       // the client's window was full, and nothing has changed since
  bool input_ended_ = false;   // the client sends no more
  bool keep_alive_ = false;    // after this answer
  bool chunked_ = false;       // this answer, if it is a stream
  bool head_ = false;          // this request is a HEAD
  bool streaming_ = false;     // the head of an event stream is out
  bool answer_ended_ = false;  // the last byte of this answer is in output_
};

}  // namespace troupe::http
