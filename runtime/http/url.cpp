#include "runtime/http/url.hpp"

#include "runtime/http/text.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::http {

result<url> parse_url(std::string_view text) {
  const auto refuse = [&](const std::string& why) {
    return make_error(errc::invalid_argument,
                      "\"" + safe_header_value(text) + "\" is not a URL like http://127.0.0.1:8000/v1: " + why + ".",
                      "url");
  };
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return refuse("it does not begin with http://");
  const auto scheme = text.substr(0, scheme_end);
  if (iequals(scheme, "https")) {
    return make_error(errc::unsupported,
                      "This client speaks plain http only; for https put a proxy that ends TLS in between.", "url");
  }
  if (!iequals(scheme, "http")) return refuse("the scheme is not http");
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (!printable) return refuse("it has blanks or control characters");
  auto rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const auto authority = rest.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) return refuse("it has a user name; give keys as a header");

  url parsed;
  parsed.authority = std::string(authority);
  parsed.target = std::string(rest.substr(authority_end));
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  std::string_view after_host;
  if (authority.starts_with('[')) {
    const auto bracket = authority.find(']');
    if (bracket == std::string_view::npos) return refuse("the bracket of the address is not closed");
    parsed.host = std::string(authority.substr(1, bracket - 1));
    after_host = authority.substr(bracket + 1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    parsed.host = std::string(authority.substr(0, colon));
    after_host = authority.substr(colon);
  }
  if (parsed.host.empty()) return refuse("it has no host");
  if (after_host.empty() || after_host == ":") {
    parsed.port = "80";
    return parsed;
  }
  std::uint16_t port = 0;
  const auto* last = after_host.data() + after_host.size();
  const auto [end, failure] = std::from_chars(after_host.data() + 1, last, port);
  if (after_host.front() != ':' || failure != std::errc() || end != last || port == 0)
    return refuse("the port is not a number from 1 to 65535");
  parsed.port = std::to_string(port);
  return parsed;
}

}  // namespace troupe::http
