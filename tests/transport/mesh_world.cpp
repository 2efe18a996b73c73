#include "mesh_world.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>

namespace troupe::test {

using namespace transport;

node_id id_of(int number) {
  node_id id;
  id.bytes.fill(static_cast<std::byte>(number));
  return id;
}

std::shared_ptr<const cluster_secret> secret_of(int number) {
  random_stream random(static_cast<std::uint64_t>(number));
  std::array<std::byte, 32> bytes;
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
  return std::make_shared<const cluster_secret>(*cluster_secret::from(bytes));
}

std::uint64_t mesh_node::n_refused(const std::string& reason) const {
  const auto all = mesh->counters().refusals();
  const auto found = all.find(reason);
  return found == all.end() ? 0 : found->second;
}

std::size_t mesh_node::n_up() const {
  return static_cast<std::size_t>(std::ranges::count_if(up, [](const auto& peer) { return peer->alive(); }));
}

bool mesh_node::on_message(const peer_pointer& from, std::span<const std::byte> message) {
  if (on_each) return on_each(from, message);
  received[from->node()].emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
  return true;
}

mesh_node& mesh_world::add(const std::string& host, int number, const change_options& change) {
  auto made = std::make_unique<mesh_node>();
  made->host = host;
  auto faults = std::make_unique<fault_proxy>(
      network.make_fabric(host), [this] { return now; }, static_cast<std::uint64_t>(number));
  made->faults = faults.get();
  auto tap = std::make_unique<fabric_tap>(std::move(faults));
  made->tap = tap.get();
  mesh_options options;
  options.self = id_of(number);
  options.secret = secret_of(1);
  options.fill_random =
      [random = random_stream(static_cast<std::uint64_t>(number))](std::span<std::byte> bytes) mutable -> result<> {
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
    return {};
  };
  if (change) change(options);
  made->mesh = std::make_unique<transport::mesh>(std::move(tap), std::move(options), *made);
  made->mesh->adopt_thread();
  made->where = *made->mesh->listen({host, 7100});
  nodes.push_back(std::move(made));
  return *nodes.back();
}

stranger& mesh_world::add_stranger(const std::string& host) {
  strangers.push_back(std::make_unique<stranger>(network.make_fabric(host)));
  return *strangers.back();
}

void mesh_world::remove(mesh_node& node) {
  std::erase_if(nodes, [&](const auto& other) { return other.get() == &node; });
}

bool mesh_world::turn() {
  bool any = false;
  for (const auto& node : nodes)
    if (!node->frozen) any = node->mesh->poll(now) || any;
  for (const auto& somebody : strangers)
    any = somebody->fabric->progress() || any;
  return any;
}

time_point mesh_world::next_event() const {
  time_point next = network.next_event();
  for (const auto& node : nodes)
    if (!node->frozen) next = std::min({next, node->mesh->next_deadline(), node->faults->next_event()});
  return next;
}

bool mesh_world::run_until(const std::function<bool()>& what, duration limit) {
  const time_point end = now + limit;
  for (;;) {
    while (turn())
      if (what && what()) return true;
    if (what && what()) return true;
    if (now >= end) return false;
    // What waits for a frozen node is due and stays so.
    now = std::min(end, std::max(next_event(), now + std::chrono::microseconds(100)));
  }
}

void mesh_world::run_for(duration time) {
  run_until({}, time);
}

peer_pointer mesh_world::connect(mesh_node& from, mesh_node& to) {
  peer_pointer made;
  from.mesh->connect(to.where, [&](const result<peer_pointer>& peer) {
    INFO((peer ? std::string() : peer.error().message));
    REQUIRE(peer.has_value());
    made = *peer;
  });
  REQUIRE(run_until([&] { return made != nullptr && from.n_up() > 0 && to.n_up() > 0; }));
  return made;
}

std::string mesh_world::failure_to_connect(mesh_node& from, const address& where) {
  std::string failure;
  int n_calls = 0;
  from.mesh->connect(where, [&](const result<peer_pointer>& peer) {
    ++n_calls;
    failure = peer ? "connected" : peer.error().message;
  });
  run_until([&] { return n_calls > 0; });
  run_for(milliseconds(10));
  CHECK(n_calls == 1);
  return failure;
}

}  // namespace troupe::test
