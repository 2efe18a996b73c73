// Bytes to a response, for the client. The grammar is Boost.Beast's; the limits are here.
#pragma once

#include "base/result.hpp"
#include "runtime/http/server.hpp"

#include <functional>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

namespace troupe::http {

class response_parser final : private boost::beast::http::basic_parser<false> {
 public:
  /// Called with pieces of the body; false stops.
  using body_sink = std::function<bool(std::string_view)>;

  /// `bodyless` for the answer to a HEAD.
  response_parser(std::size_t header_bytes, bool bodyless);
  /// What is called with the body; set before the headers are complete or in on_headers.
  void set_body_sink(body_sink sink) { sink_ = std::move(sink); }

  /// Takes all of the bytes, keeping what is incomplete. Stops after the headers the first time, so that headers() can
  /// be looked at: call again with nothing.
  result<> feed(std::string_view bytes);
  /// The peer has closed: fine if that ends the body, errc::unavailable if it cuts it short.
  result<> feed_end();

  bool headers_done() const { return headers_done_; }
  bool complete() const { return is_done(); }
  bool stopped() const { return stopped_; }
  /// The bytes behind a complete answer.
  std::string take_rest() { return std::move(pending_); }
  /// Status, content type and headers.
  response& head() { return head_; }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, string_view, string_view, int, error_code& ec) override;
  void on_response_impl(int status, string_view reason, int version, error_code& ec) override;
  void on_field_impl(boost::beast::http::field name, string_view name_text, string_view value, error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override;
  std::size_t on_body_impl(string_view text, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t remaining, string_view text, error_code& ec) override;
  void on_finish_impl(error_code& ec) override;

  const std::size_t header_bytes_;
  std::size_t header_seen_ = 0;
  std::string pending_;
  body_sink sink_;
  response head_;
  bool headers_done_ = false;
  bool stopped_ = false;
};

}  // namespace troupe::http
