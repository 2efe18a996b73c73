// What the world's nodes consist of, and how they are watched.
#include "simulator/simulated_world.hpp"

#include <utility>

namespace troupe::simulator {
namespace {

constexpr std::uint32_t interleaved_prefill_tokens = 32;

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
  scheduler_config scheduling;
  scheduling.dispatch = std::move(*policies::make_dispatch_policy(options_.dispatch));
  scheduling.queue_capacity = options_.queue_capacity;
  scheduling.worker_backlog = options_.worker_backlog;
  head_ = simulator::start_head(*head.node, std::move(scheduling), options_.store);
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
  worker_cast cast;
  cast.name = starting.name;
  cast.process = static_cast<std::uint32_t>(starting.n_starts);
  cast.roles = starting.roles;
  cast.head = nodes_[0].node->where();
  cast.bulk = starting.bulk;
  cast.relocation_part_bytes = options_.relocation_part_bytes;
  cast.make_driver = [this, at](worker_id worker, engine_driver::listener report) {
    return make_driver(at, worker, std::move(report));
  };
  cast.on_supervisor = [this, at](const caf::actor& supervisor) { nodes_[at].supervisor = supervisor; };
  cast.on_gone = [this, at](const std::string& why) { nodes_[at].gone = why; };
  cast.introduce = [this, at](join_cluster& introduction) {
    if (options_.introduce) options_.introduce(at, introduction);
  };
  starting.member = start_member(*starting.node, cast);
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
  auto runner =
      std::make_unique<engine_runner>(worker, std::move(engine), std::move(*policies::make_batching_policy("fcfs")),
                                      engine_runner_options{.interleaved_prefill_tokens = interleaved_prefill_tokens});
  auto driver = std::make_unique<simulated_driver>(
      std::move(runner), std::move(report), [raw] { return raw->last_step_cost(); },
      [this, at, raw] { std::erase_if(nodes_[at].engines, [&](const auto& place) { return place.engine == raw; }); });
  nodes_[at].engines.push_back({driver.get(), raw});
  return driver;
}

}  // namespace troupe::simulator
