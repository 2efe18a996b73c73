// Addresses as the system's sockets have them.
#pragma once

#include "transport/address.hpp"

#include <optional>
#include <string>

#include <sys/socket.h>

namespace troupe::transport {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// The first address of a host name. Errors name the host.
result<socket_address> resolve(const address& where);
std::uint16_t port_of(const sockaddr_storage& storage);
/// The numeric address; empty for what is neither IPv4 nor IPv6.
std::string host_of(const sockaddr_storage& storage);
/// The network device that has a host's address ("lo", "eth0"); nullopt for 0.0.0.0 and for other machines' hosts.
std::optional<std::string> find_device_of(const std::string& host);

/// The address of this machine that packets to another one leave from. Errors: the host is not known or not reachable.
result<std::string> find_local_host_towards(const address& where);

}  // namespace troupe::transport
