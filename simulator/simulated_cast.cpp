#include "simulator/simulated_cast.hpp"

#include "actors/registry/registry.hpp"
#include "actors/supervisor/supervisor.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {

served_content simulated_content() {
  return {"simulated", "model", 1, 2};
}

head_cast start_head(simulated_node& node, scheduler_config scheduling, std::shared_ptr<registry_store> store) {
  head_cast cast;
  auto& system = node.system();
  cast.scheduler = system.spawn(scheduler_actor, std::move(scheduling));
  const auto board = std::make_shared<status_board>();
  cast.gateway = system.spawn(gateway_actor, gateway_config{cast.scheduler, board, nullptr});
  cast.service = std::make_unique<gateway_service>(cast.gateway, board);
  registry_config registering;
  registering.scheduler = cast.scheduler;
  registering.content = simulated_content();
  registering.store = store ? std::move(store) : std::shared_ptr<registry_store>(make_memory_registry_store());
  registering.node_of = [](const caf::actor& member) {
    const auto id = transport::bridge::node_of(member);
    return std::vector<std::byte>(id.bytes.begin(), id.bytes.end());
  };
  cast.registry = system.spawn(registry_actor, registering);
  node.bridge().publish("registry", cast.registry);
  for (const auto& root : {cast.gateway, cast.registry, cast.scheduler})
    node.add_root(root);
  return cast;
}

namespace {

join_cluster introduction_of(const simulated_node& node, const worker_cast& cast) {
  join_cluster introduction;
  introduction.name = cast.name;
  introduction.host = node.host();
  introduction.process = cast.process;
  introduction.address = transport::to_string(node.where());
  introduction.roles = cast.roles;
  introduction.content = simulated_content();
  if (cast.introduce) cast.introduce(introduction);
  return introduction;
}

void learn_addresses(transport::bridge& bridge, const members_changed& all) {
  for (const auto& of : all.members) {
    transport::node_id id;
    if (of.node.size() == id.bytes.size()) std::copy(of.node.begin(), of.node.end(), id.bytes.begin());
    if (const auto where = transport::parse_address(of.address)) bridge.learn(id, *where);
  }
}

}  // namespace

caf::actor start_member(simulated_node& node, const worker_cast& cast) {
  auto* const bridge = &node.bridge();
  member_config config;
  config.introduction = introduction_of(node, cast);
  config.find_registry = [bridge, head = cast.head](const caf::actor& asking) {
    bridge->resolve(head, "registry", [asking](const result<caf::actor>& registry) {
      if (registry)
        caf::anon_send(asking, registry_found{}, *registry);
      else
        caf::anon_send(asking, registry_missing{registry.error().message});
    });
  };
  config.start_workers = [cast](caf::local_actor* parent, worker_id id, const caf::actor& scheduler) {
    supervisor_config supervising;
    supervising.scheduler = scheduler;
    supervising.first_worker = id;
    supervising.roles = cast.roles;
    supervising.bulk = cast.bulk;
    supervising.relocation_part_bytes = cast.relocation_part_bytes;
    supervising.make_driver = [make = cast.make_driver](worker_id worker, engine_driver::listener report) {
      return result<std::unique_ptr<engine_driver>>(make(worker, std::move(report)));
    };
    auto supervisor = parent->home_system().spawn(supervisor_actor, supervising);
    if (cast.on_supervisor) cast.on_supervisor(supervisor);
    return supervisor;
  };
  config.on_members = [bridge](const members_changed& all) { learn_addresses(*bridge, all); };
  config.on_gone = cast.on_gone;
  auto member = node.system().spawn(member_actor, config);
  node.add_root(member);
  return member;
}

}  // namespace troupe::simulator
