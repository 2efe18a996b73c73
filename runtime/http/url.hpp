// http://host[:port]/path?query, taken apart for the client.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace troupe::http {

struct url {
  std::string host;       // without the brackets of an IPv6 address
  std::string port;       // "80" when the text has none
  std::string authority;  // host and port as written: the Host header
  std::string target;     // path and query, at least "/"
};

/// Errors: https (unsupported), another scheme, no host, a port that is none, blanks or control characters.
result<url> parse_url(std::string_view text);

}  // namespace troupe::http
