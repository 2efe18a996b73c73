#include "simulator/simulated_node.hpp"

#include "actors/cast_system.hpp"
#include "base/assert.hpp"
#include "transport/forwarding_fabric.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulator {
namespace {

/// Tells of bulk memory that has come.
class telling_fabric final : public transport::forwarding_fabric {
 public:
  telling_fabric(std::unique_ptr<fabric> inner, std::function<void()> on_bulk_received)
      : forwarding_fabric(std::move(inner)), told_(std::move(on_bulk_received)) {}

 private:
  void on_bulk_received(transport::link_id link, const transport::bulk_header& header, bool intact) override {
    forwarding_fabric::on_bulk_received(link, header, intact);
    if (told_) told_();
  }

  std::function<void()> told_;
};

}  // namespace

struct simulated_node::configuration : caf::actor_system_config {
  configuration() {
    set("scheduler.policy", caf::atom("testing"));
    set("logger.verbosity", caf::atom("quiet"));
    add_message_types<caf::id_block::troupe>();
  }
};

simulated_node::simulated_node(transport::memory_network& network, std::function<time_point()> now,
                               const simulated_node_options& options)
    : network_(network), host_(options.host), configuration_(std::make_unique<configuration>()) {
  auto faults = std::make_unique<transport::fault_proxy>(network.make_fabric(host_), now, options.seed);
  faults_ = faults.get();
  std::unique_ptr<transport::fabric> fabric =
      std::make_unique<telling_fabric>(std::move(faults), options.on_bulk_received);
  auto bridging = std::make_shared<transport::bridge_options>();
  bridging->make_fabric = [made = std::make_shared<std::unique_ptr<transport::fabric>>(std::move(fabric))] {
    return result<std::unique_ptr<transport::fabric>>(std::move(*made));
  };
  bridging->codec = make_wire_codec();
  bridging->own_thread = false;
  bridging->inline_budget = std::chrono::microseconds(-1);
  bridging->mesh.secret = options.secret;
  bridging->mesh.beat_every = options.beat_every;
  bridging->mesh.dead_after = options.dead_after;
  bridging->mesh.fill_random = [random = random_stream(options.seed)](std::span<std::byte> bytes) mutable -> result<> {
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
    return {};
  };
  transport::bridge::install(*configuration_, std::move(bridging));
  system_ = std::make_unique<caf::actor_system>(*configuration_);
  coordinator_ = dynamic_cast<caf::scheduler::test_coordinator*>(&system_->scheduler());
  bridge_ = &transport::bridge::of(*system_);
  set_time(now());
  const auto bound = bridge_->listen(where());
  TROUPE_ASSERT(bound.has_value(), "a simulated host has its port for itself");
}

simulated_node::~simulated_node() {
  for (const auto& root : roots_)
    caf::anon_send_exit(root, caf::exit_reason::user_shutdown);
  roots_.clear();
  while (coordinator_->try_run_once()) {
  }
}

caf::resumable& simulated_node::choose_job(random_stream& random) {
  auto& jobs = coordinator_->jobs;
  std::swap(jobs.front(), jobs[random.below(jobs.size())]);
  return *jobs.front();
}

void simulated_node::set_time(time_point now) {
  const auto behind = now - coordinator_->clock().now();
  if (behind.count() > 0) coordinator_->advance_time(behind);
}

time_point simulated_node::next_event() const {
  time_point first = std::min(network_.next_event(host_), faults_->next_event());
  const auto& timers = coordinator_->clock().schedule();
  if (!timers.empty()) first = std::min(first, time_point(timers.begin()->first));
  return std::min(first, bridge_->mesh().next_deadline());
}

}  // namespace troupe::simulator
