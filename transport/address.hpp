// Where a node listens: "10.0.0.1:7100", "[::1]:7100", "head.example:7100". Port 0 lets the system choose.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::transport {

struct address {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const address&, const address&) = default;
};

/// Errors name what is missing.
result<address> parse_address(std::string_view text);
std::string to_string(const address& where);

/// 127.0.0.0/8, ::1 (numeric, an IPv4 address in IPv6 form included) and "localhost": what nobody on another host can
/// reach. A name that merely looks like one, as 127.example.org, is none.
bool is_loopback(std::string_view host);

}  // namespace troupe::transport
