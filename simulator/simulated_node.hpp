// One process of a simulated cluster: an actor system of its own on CAF's deterministic scheduler, with a bridge over a
// fabric of the memory network that a fault proxy may spoil. Somebody else turns it, one thing at a time.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "transport/bridge/bridge.hpp"
#include "transport/fault_proxy.hpp"
#include "transport/memory_fabric.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

namespace troupe::simulator {

struct simulated_node_options {
  std::string host;
  std::uint64_t seed = 0;
  std::shared_ptr<const transport::cluster_secret> secret;  // nullptr: none, hosts are of loopback
  std::function<void()> on_bulk_received;                   // a part is here
  std::chrono::milliseconds beat_every{200};
  std::chrono::milliseconds dead_after{1000};
};

class simulated_node {
 public:
  static constexpr std::uint16_t port = 7100;

  simulated_node(transport::memory_network& network, std::function<time_point()> now,
                 const simulated_node_options& options);
  /// Ends all actors of the node. To crash it, cut it off the network before.
  ~simulated_node();

  caf::actor_system& system() { return *system_; }
  transport::bridge& bridge() { return *bridge_; }
  transport::fault_proxy& faults() { return *faults_; }
  const std::string& host() const { return host_; }
  transport::address where() const { return {host_, port}; }
  /// Told to exit when the node goes.
  void add_root(caf::actor root) { roots_.push_back(std::move(root)); }

  /// A message to be handled next: who has it.
  bool has_job() const { return coordinator_->has_job(); }
  /// Puts one of the waiting jobs first.
  caf::resumable& choose_job(random_stream& random);
  void run_job() { coordinator_->try_run_once(); }

  /// True when something happened.
  bool turn_bridge(time_point now) { return bridge_->turn(now); }
  /// Timers up to now fire.
  void set_time(time_point now);
  /// Of timers and of what the transport has to do.
  time_point next_event() const;

 private:
  struct configuration;
  transport::memory_network& network_;
  std::string host_;
  transport::fault_proxy* faults_ = nullptr;
  std::unique_ptr<configuration> configuration_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* coordinator_ = nullptr;
  transport::bridge* bridge_ = nullptr;
  std::vector<caf::actor> roots_;
};

}  // namespace troupe::simulator
