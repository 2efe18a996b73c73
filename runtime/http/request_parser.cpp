#include "runtime/http/request_parser.hpp"

#include "runtime/http/text.hpp"

#include <algorithm>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

namespace troupe::http {

namespace beast_http = boost::beast::http;

namespace {

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

/// The request line's last word looks like a version of HTTP, only not one of ours.
bool names_other_version(std::string_view input) {
  const auto line = input.substr(0, input.find('\r'));
  const auto space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  const auto word = line.substr(space + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return word.size() == 8 && word.starts_with("HTTP/") && digit(word[5]) && word[6] == '.' && digit(word[7]);
}

}  // namespace

bool split_target(std::string_view target, std::string& path, std::string& query) {
  if (target == "*") {
    path = "*";
    query.clear();
    return true;
  }
  if (!target.starts_with('/')) {
    const auto scheme = target.find("://");
    if (scheme == std::string_view::npos) return false;
    if (!iequals(target.substr(0, scheme), "http") && !iequals(target.substr(0, scheme), "https")) return false;
    target.remove_prefix(scheme + 3);
    const auto slash = target.find_first_of("/?");
    if (slash == 0 || target.empty()) return false;  // no authority
    target.remove_prefix(std::min(slash, target.size()));
  }
  const auto mark = target.find('?');
  query = mark == std::string_view::npos ? std::string() : std::string(target.substr(mark + 1));
  const auto encoded = target.substr(0, mark);
  auto decoded = percent_decode(encoded.empty() ? "/" : encoded);
  if (!decoded || decoded->find('\0') != std::string::npos) return false;
  path = std::move(*decoded);
  return true;
}

request_parser::request_parser(const limits& bounds) : limits_(bounds) {
  header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(bounds.header_bytes, 1u << 30)));
  body_limit(static_cast<std::uint64_t>(bounds.body_bytes));
}

request_parser::progress request_parser::parse(std::string_view input, std::size_t& consumed) {
  consumed = 0;
  while (consumed < input.size()) {
    error_code ec;
    const auto rest = input.substr(consumed);
    const auto used = put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
    consumed += used;
    const bool in_headers = !headers_done_;
    if (in_headers) header_bytes_ += used;
    if (ec && ec != beast_http::error::need_more) return explain(ec, rest);
    const auto kept = input.size() - consumed;
    if (in_headers) {
      const auto total = header_bytes_ + (is_header_done() ? 0 : kept);
      if (total > limits_.header_bytes) return explain(beast_http::error::header_limit, rest);
      if (is_header_done()) {
        headers_done_ = true;
        return is_done() ? progress::complete : progress::headers;
      }
    }
    if (is_done()) return progress::complete;
    if (ec == beast_http::error::need_more) {
      // What a body keeps waiting is a chunk's size line or the trailers: as bounded as the headers are.
      if (headers_done_ && kept > limits_.header_bytes) {
        refuse(431,
               "A chunk header or the trailers are longer than " + std::to_string(limits_.header_bytes) + " bytes.");
        return progress::refused;
      }
      return progress::more;
    }
  }
  return progress::more;
}

request_parser::error_code request_parser::refuse(int status, std::string message) {
  failure_ = {status, std::move(message)};
  return beast_http::error::bad_value;
}

request_parser::progress request_parser::explain(const error_code& ec, std::string_view input) {
  if (failure_.status != 0) return progress::refused;
  const auto bytes = std::to_string(limits_.header_bytes);
  if (ec == beast_http::error::header_limit) {
    if (request_line_seen_) {
      refuse(431, "The request's headers are longer than " + bytes + " bytes.");
    } else {
      refuse(414, "The request line is longer than " + bytes + " bytes.");
    }
  } else if (ec == beast_http::error::body_limit) {
    refuse(413, "The request's body is longer than " + std::to_string(limits_.body_bytes) + " bytes.");
  } else if (ec == beast_http::error::bad_version && names_other_version(input)) {
    refuse(505, "This server speaks HTTP/1.1 and HTTP/1.0 only.");
  } else if (!request_line_seen_ && input.starts_with('\x16')) {
    refuse(400, "These bytes are TLS; this port speaks plain http.");
  } else {
    refuse(400, "The request is not valid HTTP/1.1: " + ec.message() + ".");
  }
  return progress::refused;
}

void request_parser::on_request_impl(verb, string_view method, string_view target, int version, error_code& ec) {
  request_line_seen_ = true;
  version_ = version;
  request_.method = std::string(view(method));
  if (request_.method == "CONNECT") {
    ec = refuse(501, "This server is no proxy: CONNECT is not supported.");
  } else if (!split_target(view(target), request_.path, request_.query)) {
    ec = refuse(400, "The request target must be a path such as /v1/models with valid percent-escapes.");
  }
}

void request_parser::on_response_impl(int, string_view, int, error_code& ec) {
  ec = beast_http::error::bad_method;
}

void request_parser::on_field_impl(field name, string_view name_text, string_view value, error_code& ec) {
  if (headers_done_) return;  // a trailer: nothing may be changed by what comes after the body
  if (request_.headers.size() >= limits_.header_lines) {
    ec = refuse(431, "The request has more than " + std::to_string(limits_.header_lines) + " header lines.");
    return;
  }
  if (name == field::host) ++hosts_;
  if (name == field::content_length) {
    ++content_lengths_;
    if (view(value).find(',') != std::string_view::npos) ++content_lengths_;  // Beast takes a list of equal numbers
  }
  if (name == field::transfer_encoding) {
    ++transfer_encodings_;
    if (!iequals(view(value), "chunked")) {
      ec = refuse(501, "The only transfer coding that this server knows is \"chunked\".");
      return;
    }
  }
  if (name == field::expect) {
    if (!iequals(view(value), "100-continue")) {
      ec = refuse(417, "The only expectation that this server can meet is \"100-continue\".");
      return;
    }
    expects_continue_ = true;
  }
  request_.headers.emplace_back(view(name_text), view(value));
}

void request_parser::on_header_impl(error_code& ec) {
  if (content_lengths_ > 1) {
    ec = refuse(400, "The request has more than one Content-Length.");
  } else if (transfer_encodings_ > 0 && content_lengths_ > 0) {
    ec = refuse(400, "The request has both a Content-Length and a Transfer-Encoding.");
  } else if (transfer_encodings_ > 0 && version_ < 11) {
    ec = refuse(400, "HTTP/1.0 has no Transfer-Encoding; send a Content-Length.");
  } else if (hosts_ != 1 && (version_ == 11 || hosts_ > 1)) {
    ec = refuse(400, "A request must have exactly one Host header.");
  }
}

void request_parser::on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) {}

std::size_t request_parser::on_body_impl(string_view text, error_code&) {
  request_.body.append(text.data(), text.size());
  return text.size();
}

void request_parser::on_chunk_header_impl(std::uint64_t, string_view, error_code&) {}

std::size_t request_parser::on_chunk_body_impl(std::uint64_t, string_view text, error_code&) {
  request_.body.append(text.data(), text.size());
  return text.size();
}

void request_parser::on_finish_impl(error_code&) {}

}  // namespace troupe::http
