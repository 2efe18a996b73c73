// How the nodes of a simulated cluster are put together: what actors/node.cpp and actors/worker_node.cpp do for real.
#include "actors/member/member.hpp"
#include "actors/registry/registry.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "simulator/simulated_world.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t interleaved_prefill_tokens = 32;

served_content content_of_cluster() {
  return {"simulated", "model", 1, 2};
}

}  // namespace

std::unique_ptr<simulated_node> simulated_world::make_node(std::size_t at) {
  simulated_node_options made;
  made.host = nodes_[at].host;
  made.seed = random_bits(random_bits(options_.seed, at), ++nodes_[at].n_starts);
  made.secret = secret_;
  made.on_bulk_received = [this, at] { observer_.tell(at, "call", "bulk.received"); };
  return std::make_unique<simulated_node>(
      network_, [this] { return now_; }, made);
}

void simulated_world::start_head() {
  world_node& head = nodes_[0];
  head.node = make_node(0);
  auto& system = head.node->system();
  scheduler_config scheduling;
  scheduling.dispatch = std::move(*policies::make_dispatch_policy(options_.dispatch));
  scheduling.queue_capacity = options_.queue_capacity;
  scheduling.worker_backlog = options_.worker_backlog;
  scheduler_ = system.spawn(scheduler_actor, scheduling);
  board_ = std::make_shared<status_board>();
  gateway_ = system.spawn(gateway_actor, gateway_config{scheduler_, board_, nullptr});
  service_ = std::make_unique<gateway_service>(gateway_, board_);
  registry_config registering;
  registering.scheduler = scheduler_;
  registering.content = content_of_cluster();
  registering.store = options_.store ? options_.store : std::shared_ptr<registry_store>(make_memory_registry_store());
  registering.node_of = [](const caf::actor& member) {
    const auto id = transport::bridge::node_of(member);
    return std::vector<std::byte>(id.bytes.begin(), id.bytes.end());
  };
  registry_ = system.spawn(registry_actor, registering);
  head.node->bridge().publish("registry", registry_);
  for (const auto& root : {gateway_, registry_, scheduler_})
    head.node->add_root(root);
}

void simulated_world::start_worker_node(std::size_t at) {
  world_node& starting = nodes_[at];
  starting.node = make_node(at);
  starting.idle = false;
  starting.gone.reset();
  starting.bulk =
      std::make_shared<watched_bulk_port>(make_bulk_port(starting.node->bridge()), [this, at](std::string_view call) {
        if (nodes_[at].dying) return;
        observer_.tell(at, "call", call == "send" ? "bulk.send" : "bulk.sent");
      });
  starting.member = starting.node->system().spawn(member_actor, make_member_config(at));
  starting.node->add_root(starting.member);
}

member_config simulated_world::make_member_config(std::size_t at) {
  auto* const bridge = &nodes_[at].node->bridge();
  member_config config;
  auto& introduction = config.introduction;
  introduction.name = nodes_[at].name;
  introduction.host = nodes_[at].host;
  introduction.process = static_cast<std::uint32_t>(nodes_[at].n_starts);
  introduction.address = transport::to_string(nodes_[at].node->where());
  introduction.roles = nodes_[at].roles;
  introduction.content = content_of_cluster();
  if (options_.introduce) options_.introduce(at, introduction);
  config.find_registry = [bridge, where = nodes_[0].node->where()](const caf::actor& asking) {
    bridge->resolve(where, "registry", [asking](const result<caf::actor>& registry) {
      if (registry)
        caf::anon_send(asking, registry_found{}, *registry);
      else
        caf::anon_send(asking, registry_missing{registry.error().message});
    });
  };
  config.start_workers = [this, at](caf::local_actor* parent, worker_id id, const caf::actor& scheduler) {
    supervisor_config supervising;
    supervising.scheduler = scheduler;
    supervising.first_worker = id;
    supervising.roles = nodes_[at].roles;
    supervising.bulk = nodes_[at].bulk;
    supervising.relocation_part_bytes = options_.relocation_part_bytes;
    supervising.make_driver = [this, at](worker_id worker, engine_driver::listener report) {
      return result<std::unique_ptr<engine_driver>>(make_driver(at, worker, std::move(report)));
    };
    nodes_[at].supervisor = parent->home_system().spawn(supervisor_actor, supervising);
    return nodes_[at].supervisor;
  };
  config.on_members = [bridge](const members_changed& all) {
    for (const auto& of : all.members) {
      transport::node_id id;
      if (of.node.size() == id.bytes.size()) std::copy(of.node.begin(), of.node.end(), id.bytes.begin());
      if (const auto where = transport::parse_address(of.address)) bridge->learn(id, *where);
    }
  };
  config.on_gone = [this, at](const std::string& why) { nodes_[at].gone = why; };
  return config;
}

std::unique_ptr<engine_driver> simulated_world::make_driver(std::size_t at, worker_id worker,
                                                            engine_driver::listener report) {
  simulated_engine_options equipped = options_.engine;
  if (options_.equip) options_.equip(at, equipped);
  equipped.on_violation = [this, at](const std::string& what) {
    observer_.violate("I7: on node " + std::to_string(at) + ": " + what);
  };
  const auto raw_again = std::make_shared<const simulated_engine*>(nullptr);
  equipped.on_call = [this, at, raw_again](std::string_view call) {
    if (nodes_[at].dying) return;
    observer_.tell(at, "engine", call);
    if (call == "end" && nodes_[at].bulk->uses((*raw_again)->memory()))
      observer_.violate("I6: an engine goes while the transport has its memory");
  };
  equipped.on_write = [this, at](std::span<const std::byte> block) {
    if (!nodes_[at].dying && nodes_[at].bulk->uses(block))
      observer_.violate("I5: on node " + std::to_string(at) + " the engine writes to a block that the transport has");
  };
  auto engine = std::make_unique<simulated_engine>(equipped);
  auto* const raw = engine.get();
  *raw_again = raw;
  auto runner = std::make_unique<engine_runner>(
      worker, std::move(engine), std::move(*policies::make_batching_policy("fcfs")), interleaved_prefill_tokens);
  auto driver = std::make_unique<simulated_driver>(
      std::move(runner), std::move(report), [raw] { return raw->expected_step_cost(); },
      [this, at, raw] { std::erase_if(nodes_[at].engines, [&](const auto& place) { return place.engine == raw; }); });
  nodes_[at].engines.push_back({driver.get(), raw});
  return driver;
}

}  // namespace troupe::simulator
