#include "live_mesh.hpp"

#include "catch.hpp"
#include "transport/security/secure_random.hpp"

#include <algorithm>
#include <thread>

#include <arpa/inet.h>
#include <ifaddrs.h>

namespace troupe::test {

using namespace transport;
using steady = std::chrono::steady_clock;

mesh_node& live_mesh::add(int number, const mesh_world::change_options& change) {
  auto made = std::make_unique<mesh_node>();
  made->host = host_;
  auto fabric = make_ucx_fabric({.net_devices = "", .transports = transports_, .bind_host = host_});
  INFO((fabric ? "" : fabric.error().message));
  REQUIRE(fabric.has_value());
  auto tap = std::make_unique<fabric_tap>(*std::move(fabric));
  made->tap = tap.get();
  mesh_options options;
  options.self = id_of(number);
  options.secret = secret_of(1);
  options.fill_random = fill_with_secure_random;
  if (change) change(options);
  made->mesh = std::make_unique<transport::mesh>(std::move(tap), std::move(options), *made);
  made->mesh->adopt_thread();
  const auto where = made->mesh->listen({host_, 0});
  INFO((where ? "" : where.error().message));
  REQUIRE(where.has_value());
  made->where = *where;
  nodes.push_back(std::move(made));
  return *nodes.back();
}

void live_mesh::remove(mesh_node& node) {
  std::erase_if(nodes, [&](const auto& other) { return other.get() == &node; });
}

bool live_mesh::run_until(const std::function<bool()>& what, duration limit) {
  const auto end = steady::now() + limit;
  for (;;) {
    bool any = false;
    for (const auto& node : nodes)
      any = node->mesh->poll(steady::now()) || any;
    if (what && what()) return true;
    if (steady::now() >= end) return false;
    if (!any) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

peer_pointer live_mesh::connect(mesh_node& from, mesh_node& to) {
  peer_pointer made;
  from.mesh->connect(to.where, [&](const result<peer_pointer>& peer) {
    INFO((peer ? std::string() : peer.error().message));
    REQUIRE(peer.has_value());
    made = *peer;
  });
  REQUIRE(run_until([&] { return made != nullptr && from.n_up() > 0 && to.n_up() > 0; }));
  return made;
}

std::string live_mesh::failure_to_connect(mesh_node& from, const address& where) {
  std::string failure;
  int n_calls = 0;
  from.mesh->connect(where, [&](const result<peer_pointer>& peer) {
    ++n_calls;
    failure = peer ? "connected" : peer.error().message;
  });
  run_until([&] { return n_calls > 0; });
  run_for(milliseconds(5));
  CHECK(n_calls == 1);
  return failure;
}

std::string outer_host() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, ::freeifaddrs);
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
    if (!is_loopback(text)) return text;
  }
  return {};
}

}  // namespace troupe::test
