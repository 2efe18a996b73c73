// Bytes to a request, strictly: what two readers of HTTP could understand differently is refused (RFC 9112, section
// 11).
//
// Boost.Beast's incremental parser does the grammar. This class keeps the limits and closes the gaps measured in
// Beast 1.74: it bounds the header section as a whole (Beast bounds each call), keeps trailers out of the headers,
// refuses a second Content-Length even when it agrees, any Transfer-Encoding but a single "chunked", and a missing or
// second Host.
#pragma once

#include "runtime/http/server.hpp"

#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

namespace troupe::http {

/// An answer the server gives by itself.
struct refusal {
  int status = 0;
  std::string message;
};

class request_parser final : private boost::beast::http::basic_parser<true> {
 public:
  enum class progress {
    more,      // everything given is consumed, or kept until more comes
    headers,   // the headers are complete, a body follows
    complete,  // take() the request; what follows belongs to the next one
    refused    // failure() says why; the connection cannot go on
  };

  explicit request_parser(const limits& bounds);

  /// Reads from the front of `input` and says in `consumed` how much of it is done with. The rest must be given again,
  /// with more behind it.
  progress parse(std::string_view input, std::size_t& consumed);

  const refusal& failure() const { return failure_; }
  bool keep_alive() const { return basic_parser::keep_alive(); }
  bool is_http_1_1() const { return version_ == 11; }
  bool expects_continue() const { return expects_continue_; }
  bool request_line_seen() const { return request_line_seen_; }
  request take() { return std::move(request_); }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;
  using verb = boost::beast::http::verb;
  using field = boost::beast::http::field;

  void on_request_impl(verb, string_view method, string_view target, int version, error_code& ec) override;
  void on_response_impl(int, string_view, int, error_code& ec) override;
  void on_field_impl(field name, string_view name_text, string_view value, error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override;
  std::size_t on_body_impl(string_view text, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& ec) override;
  std::size_t on_chunk_body_impl(std::uint64_t remaining, string_view text, error_code& ec) override;
  void on_finish_impl(error_code& ec) override;

  /// Notes the refusal and returns the error that makes Beast stop.
  error_code refuse(int status, std::string message);
  progress explain(const error_code& ec, std::string_view input);

  const limits& limits_;
  request request_;
  refusal failure_;
  std::size_t header_bytes_ = 0;  // of request line and headers, consumed so far
  std::size_t content_lengths_ = 0;
  std::size_t transfer_encodings_ = 0;
  std::size_t hosts_ = 0;
  int version_ = 0;
  bool expects_continue_ = false;
  bool request_line_seen_ = false;
  bool headers_done_ = false;
};

/// Splits a request target (origin form, absolute form or "*") into a decoded path and a query. False when it is none
/// of these, or its percent-escapes are broken or hide a NUL.
bool split_target(std::string_view target, std::string& path, std::string& query);

}  // namespace troupe::http
