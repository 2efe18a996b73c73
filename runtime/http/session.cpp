#include "runtime/http/session.hpp"

#include "runtime/http/response_head.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

namespace troupe::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Pipelined bytes kept while an answer is made. Past it the connection is not read until the answer is out.
constexpr std::size_t pipelined_bytes = 64 * 1024;
/// How long a connection that is done for waits for the client's end. Closing with unread bytes would make the kernel
/// reset the connection, and the client would lose the answer it has not read.
constexpr std::chrono::milliseconds linger_time{1000};
/// Output beyond this is given back to the allocator once written.
constexpr std::size_t kept_output_bytes = 4 * 1024;

}  // namespace

response session_context::error_response(int status, const std::string& message) const {
  try {
    auto formatted = format_error(status, message);
    formatted.status = status;
    return formatted;
  } catch (...) {
    return response{status, "text/plain; charset=utf-8", {}, message + "\n"};
  }
}

session::session(session_context& context, tcp::socket socket)
    : context_(context), socket_(std::move(socket)), timer_(socket_.get_executor()) {
  context_.connections.fetch_add(1, std::memory_order_relaxed);
}

session::~session() {
  context_.connections.fetch_sub(1, std::memory_order_relaxed);
}

void session::start() {
  set_deadline(clock::now() + context_.limits.idle_timeout);
  wait_readable();
}

void session::start_refused(int status, const std::string& message) {
  refuse(status, message);
  wait_readable();
}

void session::drain() {
  keep_alive_ = false;
  if (stage_ == stage::idle || stage_ == stage::headers || stage_ == stage::body) close();
}

void session::close() {
  if (std::exchange(stage_, stage::closed) == stage::closed) return;
  const auto self = shared_from_this();
  error_code ignored;
  timer_.cancel(ignored);
  socket_.close(ignored);
  if (auto ended = std::exchange(exchange_, nullptr)) {
    ended->set_reader(nullptr);
    try {
      ended->disconnect(true);
    } catch (...) {  // the callback's failure is not the connection's
    }
  }
  context_.sessions.erase(this);
  if (context_.sessions.empty() && context_.on_last_session_closed) context_.on_last_session_closed();
}

/// Out of memory in the middle of a turn leaves a connection that cannot be trusted: it goes, the others do not notice.
template <class Turn>
void session::guarded(Turn turn) {
  try {
    turn();
  } catch (...) {
    close();
  }
}

// ---- reading

void session::wait_readable() {
  if (reading_ || input_ended_ || stage_ == stage::closed) return;
  if (stage_ == stage::answering && input_.size() >= pipelined_bytes) return;
  reading_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& ec) {
    self->reading_ = false;
    if (!ec && self->stage_ != stage::closed) self->guarded([&] { self->on_readable(); });
  });
}

void session::on_readable() {
  error_code ec;
  const auto size = socket_.read_some(asio::buffer(context_.scratch), ec);
  if (ec == asio::error::would_block || ec == asio::error::interrupted) return wait_readable();
  if (ec == asio::error::eof) return on_input_end();
  if (ec) return close();
  if (stage_ != stage::closing && stage_ != stage::lingering) {
    input_.append(context_.scratch.data(), size);
    parse_input();
  }
  wait_readable();
}

void session::on_input_end() {
  input_ended_ = true;
  switch (stage_) {
    case stage::headers:
    case stage::body:
      return refuse(400, "The connection ended in the middle of the request.");
    case stage::answering:
      keep_alive_ = false;
      try {
        exchange_->disconnect(false);
      } catch (...) {
      }
      return;
    case stage::closing:
      return;  // the answer is still being written
    default:
      return close();
  }
}

void session::parse_input() {
  while (!input_.empty() && (stage_ == stage::idle || stage_ == stage::headers || stage_ == stage::body)) {
    if (stage_ == stage::idle) {
      // Some clients end a body with an extra line break (RFC 9112, section 2.2).
      input_.erase(0, std::min(input_.find_first_not_of("\r\n"), input_.size()));
      if (input_.empty()) return;
      parser_.emplace(context_.limits);
      stage_ = stage::headers;
      set_deadline(clock::now() + context_.limits.header_timeout);
    }
    std::size_t consumed = 0;
    const auto progress = parser_->parse(input_, consumed);
    input_.erase(0, consumed);
    switch (progress) {
      case request_parser::progress::more:
        return;
      case request_parser::progress::refused: {
        const auto why = parser_->failure();
        return refuse(why.status, why.message);
      }
      case request_parser::progress::headers:
        stage_ = stage::body;
        set_deadline(clock::now() + context_.limits.body_timeout);
        if (parser_->expects_continue() && parser_->is_http_1_1() && input_.empty()) {
          output_ += "HTTP/1.1 100 Continue\r\n\r\n";
          flush();
        }
        break;
      case request_parser::progress::complete:
        begin_request();
        break;
    }
  }
}

void session::begin_request() {
  stage_ = stage::answering;
  set_deadline(clock::time_point::max());
  keep_alive_ = parser_->keep_alive() && !context_.draining;
  chunked_ = parser_->is_http_1_1();
  auto asked = parser_->take();
  parser_.reset();
  if (input_.empty()) input_.shrink_to_fit();
  head_ = asked.method == "HEAD";
  streaming_ = false;
  answer_ended_ = false;
  exchange_ = std::make_shared<exchange>(context_.outbox, context_.limits.unsent_bytes, chunked_, head_);
  exchange_->set_reader(this);
  context_.requests_total.fetch_add(1, std::memory_order_relaxed);
  const auto running = exchange_;
  const auto stream =
      running->make_stream();  // kept until the handler has returned or thrown: dropped first, it would be the answer
  try {
    context_.handle(std::move(asked), stream);
    return;
  } catch (const std::exception& caught) {
    log(log_level::error, "http", "a request's handler threw", {{"what", caught.what()}});
  } catch (...) {
    log(log_level::error, "http", "a request's handler threw something that is no std::exception");
  }
  // What it threw is for the log: it may name files or addresses.
  running->answer_for_failed_handler(context_.error_response(500, "The server failed to answer this request."));
}

void session::refuse(int status, const std::string& message) {
  context_.rejected_total.fetch_add(1, std::memory_order_relaxed);
  stage_ = stage::closing;
  keep_alive_ = false;
  head_ = false;
  answer_ended_ = true;
  append_error(status, message);
  flush();
}

// ---- writing

void session::on_written() {
  const auto self = shared_from_this();
  guarded([this] { write_part(); });
}

void session::write_part() {
  auto part = exchange_->take();
  if (part.overflowed) return close();
  if (part.whole) append_whole(*part.whole, !head_);
  if (part.event_headers) append_event_head(*part.event_headers);
  output_ += part.events;
  if (part.ended) {
    if (chunked_ && !answer_ended_) output_ += "0\r\n\r\n";
    answer_ended_ = true;
  }
  if (part.abandoned) {
    if (streaming_) {  // the missing last chunk tells the client that the stream was cut
      keep_alive_ = false;
      answer_ended_ = true;
    } else {
      append_error(500, "The server dropped this request without an answer.");
    }
  }
  flush();
}

void session::append_whole(const response& whole, bool with_body) {
  answer_ended_ = true;
  const bool body_allowed = whole.status != 204 && whole.status != 304;
  append_response_head(output_, whole.status, whole.content_type, whole.headers,
                       body_allowed ? std::optional(whole.body.size()) : std::nullopt, keep_alive_);
  if (with_body && body_allowed) output_ += whole.body;
}

void session::append_error(int status, const std::string& message) {
  append_whole(context_.error_response(status, message), !head_);
}

void session::append_event_head(const header_list& headers) {
  streaming_ = true;
  if (!chunked_) keep_alive_ = false;
  append_event_stream_head(output_, headers, chunked_, keep_alive_);
  if (head_) answer_ended_ = true;
}

void session::flush() {
  if (writing_ || stage_ == stage::closed) return;
  bool progress = false;
  while (output_offset_ < output_.size()) {
    error_code ec;
    output_offset_ +=
        socket_.write_some(asio::buffer(output_.data() + output_offset_, output_.size() - output_offset_), ec);
    if (ec == asio::error::interrupted) continue;
    if (ec == asio::error::would_block) break;
    if (ec) return close();
    progress = true;
  }
  const auto left = output_.size() - output_offset_;
  if (exchange_) exchange_->set_unsent(left);
  if (left == 0) {
    output_.clear();
    output_offset_ = 0;
    blocked_ = false;
    if (output_.capacity() > kept_output_bytes) output_.shrink_to_fit();
    return on_flushed();
  }
  if (output_offset_ > left) {  // keeps a slow reader's buffer from growing with what it has read
    output_.erase(0, output_offset_);
    output_offset_ = 0;
  }
  if (progress || !blocked_) set_deadline(clock::now() + context_.limits.stalled_write_timeout);
  blocked_ = true;
  writing_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const error_code& ec) {
    self->writing_ = false;
    if (!ec) self->guarded([&] { self->flush(); });
  });
}

void session::on_flushed() {
  if (answer_ended_ && stage_ == stage::answering) return finish_exchange();
  if (stage_ == stage::closing) return linger();
  if (stage_ != stage::answering) return;
  set_deadline(streaming_ ? clock::now() + context_.limits.ping_interval : clock::time_point::max());
}

void session::finish_exchange() {
  exchange_->set_reader(nullptr);
  exchange_->complete();
  exchange_.reset();
  streaming_ = false;
  if (!keep_alive_ || context_.draining) return linger();
  stage_ = stage::idle;
  set_deadline(clock::now() + context_.limits.idle_timeout);
  parse_input();
  wait_readable();
}

void session::linger() {
  if (input_ended_) return close();
  stage_ = stage::lingering;
  input_ = {};
  parser_.reset();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  set_deadline(clock::now() + linger_time);
  wait_readable();
}

// ---- time

void session::set_deadline(clock::time_point when) {
  deadline_ = when;
  if (when < armed_) arm_timer();
}

void session::arm_timer() {
  armed_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](const error_code& ec) {
    if (ec || self->stage_ == stage::closed) return;  // moved to an earlier time, or closed
    self->armed_ = clock::time_point::max();
    if (self->deadline_ == clock::time_point::max()) return;
    if (clock::now() < self->deadline_) return self->arm_timer();
    self->guarded([&] { self->on_deadline(); });
  });
}

void session::on_deadline() {
  deadline_ = clock::time_point::max();
  if (writing_) return close();  // the client takes no byte
  switch (stage_) {
    case stage::headers:
      return refuse(408, "The request's headers took too long.");
    case stage::body:
      return refuse(408, "The request's body took too long.");
    case stage::answering:
      if (!streaming_) return;
      if (chunked_) {
        append_chunk(output_, ": ping\n\n");
      } else {
        output_ += ": ping\n\n";
      }
      return flush();
    default:
      return close();
  }
}

}  // namespace troupe::http
