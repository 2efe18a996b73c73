#include "runtime/http/response_parser.hpp"

#include "runtime/http/text.hpp"

#include <limits>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

namespace troupe::http {

namespace beast_http = boost::beast::http;

response_parser::response_parser(std::size_t header_bytes, bool bodyless) : header_bytes_(header_bytes) {
  header_limit(static_cast<std::uint32_t>(header_bytes));
  body_limit(std::numeric_limits<std::uint64_t>::max());  // the sink counts: an event stream may be of any length
  skip(bodyless);
}

result<> response_parser::feed(std::string_view bytes) {
  pending_ += bytes;
  std::size_t consumed = 0;
  while (consumed < pending_.size() && !is_done() && !stopped_) {
    error_code ec;
    const auto used = put(boost::asio::const_buffer(pending_.data() + consumed, pending_.size() - consumed), ec);
    consumed += used;
    if (!headers_done_) header_seen_ += used;
    if (stopped_) break;
    if (ec && ec != beast_http::error::need_more) {
      return make_error(errc::corrupt, "The answer is not valid HTTP/1.1: " + ec.message() + ".");
    }
    const auto kept = pending_.size() - consumed;
    const bool waits = ec == beast_http::error::need_more;
    if ((!headers_done_ && header_seen_ + (is_header_done() ? 0 : kept) > header_bytes_) ||
        (waits && kept > header_bytes_)) {
      return make_error(errc::too_large,
                        "The answer's headers are longer than " + std::to_string(header_bytes_) + " bytes.");
    }
    if (!headers_done_ && is_header_done()) {
      headers_done_ = true;
      break;
    }
    if (waits) break;
  }
  pending_.erase(0, consumed);
  return {};
}

result<> response_parser::feed_end() {
  const auto lost = [] {
    return make_error(errc::unavailable, "The server closed the connection before its answer was complete.");
  };
  if (!got_some()) return lost();
  if (is_done()) return {};
  error_code ec;
  put_eof(ec);
  if (ec) return lost();
  return {};
}

void response_parser::on_request_impl(beast_http::verb, string_view, string_view, int, error_code& ec) {
  ec = beast_http::error::bad_status;
}

void response_parser::on_response_impl(int status, string_view, int, error_code&) {
  head_.status = status;
  head_.content_type.clear();
}

void response_parser::on_field_impl(beast_http::field name, string_view name_text, string_view value, error_code&) {
  if (headers_done_) return;  // a trailer
  const std::string text(value.data(), value.size());
  if (name == beast_http::field::content_type) {
    head_.content_type = text;
  } else {
    head_.headers.emplace_back(std::string(name_text.data(), name_text.size()), text);
  }
}

void response_parser::on_header_impl(error_code&) {}
void response_parser::on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) {}

std::size_t response_parser::on_body_impl(string_view text, error_code& ec) {
  if (sink_ && !sink_({text.data(), text.size()})) {
    stopped_ = true;
    ec = beast_http::error::end_of_stream;
  }
  return text.size();
}

void response_parser::on_chunk_header_impl(std::uint64_t, string_view, error_code&) {}

std::size_t response_parser::on_chunk_body_impl(std::uint64_t, string_view text, error_code& ec) {
  return on_body_impl(text, ec);
}

void response_parser::on_finish_impl(error_code&) {}

}  // namespace troupe::http
