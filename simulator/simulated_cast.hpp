// How the nodes of a simulated cluster are put together: what actors/node.cpp and actors/worker_node.cpp do for real.
#pragma once

#include "actors/gateway/gateway.hpp"
#include "actors/member/member.hpp"
#include "actors/registry/registry_store.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/worker/bulk_port.hpp"
#include "actors/worker/engine_driver.hpp"
#include "simulator/simulated_node.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace troupe::simulator {

struct head_cast {
  caf::actor scheduler, gateway, registry;
  std::unique_ptr<gateway_service> service;
};

/// The actors of a head, on its node. `scheduling` as the node's options would make it; store nullptr: in memory.
head_cast start_head(simulated_node& node, scheduler_config scheduling, std::shared_ptr<registry_store> store);

/// The served content that every node here has.
served_content simulated_content();

struct worker_cast {
  std::string name;
  std::uint32_t process = 1;  // how often its process was started
  std::uint8_t roles = worker_role::both;
  transport::address head;
  std::shared_ptr<bulk_port> bulk;
  std::size_t relocation_part_bytes = std::size_t{64} << 10;
  std::function<std::unique_ptr<engine_driver>(worker_id worker, engine_driver::listener report)> make_driver;
  std::function<void(const caf::actor& supervisor)> on_supervisor{};
  std::function<void(const std::string& why)> on_gone{};
  std::function<void(join_cluster& introduction)> introduce{};  // what it says of itself instead
};

/// The member actor of a node of workers. The node must outlive it.
caf::actor start_member(simulated_node& node, const worker_cast& cast);

}  // namespace troupe::simulator
