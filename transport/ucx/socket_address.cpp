#include "transport/ucx/socket_address.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

namespace troupe::transport {
namespace {

bool same_host(const sockaddr* a, const sockaddr* b) {
  if (a->sa_family != b->sa_family) return false;
  if (a->sa_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(a)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(b)->sin_addr.s_addr;
  if (a->sa_family == AF_INET6)
    return std::memcmp(&reinterpret_cast<const sockaddr_in6*>(a)->sin6_addr,
                       &reinterpret_cast<const sockaddr_in6*>(b)->sin6_addr, sizeof(in6_addr)) == 0;
  return false;
}

}  // namespace

result<socket_address> resolve(const address& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (failure != 0)
    return make_error(errc::not_found, "The host '" + where.host + "' is not known: " + ::gai_strerror(failure) + ".");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  socket_address resolved;
  std::memcpy(&resolved.storage, found->ai_addr, found->ai_addrlen);
  resolved.size = found->ai_addrlen;
  return resolved;
}

std::uint16_t port_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::string host_of(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* bytes = nullptr;
  if (storage.ss_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr;
  if (storage.ss_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
  if (bytes == nullptr || ::inet_ntop(storage.ss_family, bytes, text, sizeof text) == nullptr) return {};
  return text;
}

std::optional<std::string> find_device_of(const std::string& host) {
  const auto wanted = resolve({host, 0});
  ifaddrs* all = nullptr;
  if (!wanted || ::getifaddrs(&all) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, ::freeifaddrs);
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next)
    if (at->ifa_addr != nullptr && same_host(at->ifa_addr, wanted->get())) return at->ifa_name;
  return std::nullopt;
}

result<std::string> find_local_host_towards(const address& where) {
  const auto there = resolve(where);
  if (!there) return there.error();
  const auto fail = [&] {
    return make_error(errc::unavailable, "No way leads to " + to_string(where) + ": " + std::strerror(errno) + ".");
  };
  // Nothing is sent: connecting a datagram socket only asks for the route.
  const int socket = ::socket(there->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail();
  socket_address here;
  here.size = sizeof here.storage;
  const bool found = ::connect(socket, there->get(), there->size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&here.storage), &here.size) == 0;
  ::close(socket);
  char host[NI_MAXHOST];
  if (!found || ::getnameinfo(here.get(), here.size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return fail();
  return std::string(host);
}

}  // namespace troupe::transport
