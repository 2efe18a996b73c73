#include "transport/address.hpp"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace troupe::transport {
namespace {

error bad(std::string_view text, std::string_view why) {
  return make_error(errc::invalid_argument, "'" + std::string(text) + "' is no address: " + std::string(why) +
                                                "; an address is HOST:PORT, for example 10.0.0.1:7100 or [::1]:7100.");
}

}  // namespace

result<address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad(text, "it has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty()) return bad(text, "it has no host");
  if (!bracketed && host.find(':') != std::string_view::npos) return bad(text, "an IPv6 host belongs in brackets");
  unsigned port = 0;
  const auto [end, failure] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (failure != std::errc{} || end != port_text.data() + port_text.size() || port > 65535)
    return bad(text, "the port is no number from 0 to 65535");
  return address{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string to_string(const address& where) {
  const bool v6 = where.host.find(':') != std::string::npos;
  return (v6 ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  const std::string text(host);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace troupe::transport
