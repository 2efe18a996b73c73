#include "bridge_stage.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>

#include <caf/scheduler/test_coordinator.hpp>

namespace troupe::test {

using namespace transport;

message_codec make_test_codec(bool with_rare_notes) {
  message_codec codec;
  codec.add<note>("note");
  if (with_rare_notes) codec.add<rare_note>("rare_note");
  return codec;
}

void add_types(caf::actor_system_config& config) {
  config.add_message_types<caf::id_block::transport_tests>();
}

bridge_node& bridge_world::add(const std::string& host, bool with_rare_notes, const change_options& change) {
  auto made = std::make_unique<bridge_node>();
  made->host = host;
  auto options = std::make_shared<bridge_options>();
  options->own_thread = false;
  options->inline_budget = std::chrono::seconds(10);  // real time has no say here
  options->codec = make_test_codec(with_rare_notes);
  options->make_fabric = [this, host] { return result<std::unique_ptr<fabric>>(network.make_fabric(host)); };
  const auto seed = static_cast<std::uint64_t>(std::hash<std::string>{}(host) + nodes.size());
  options->mesh.fill_random = [random = random_stream(seed)](std::span<std::byte> bytes) mutable -> result<> {
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return {};
  };
  options->on_event = [node = made.get()](std::string_view event, std::string_view, std::string_view why) {
    node->events.push_back(std::string(event) + ": " + std::string(why));
  };
  if (change) change(*options);
  made->config_.set("scheduler.policy", caf::atom("testing"));
  add_types(made->config_);
  bridge::install(made->config_, std::move(options));
  made->system_ = std::make_unique<caf::actor_system>(made->config_);
  made->system_->await_actors_before_shutdown(false);
  made->where = *made->bridge().listen({host, 7100});
  nodes.push_back(std::move(made));
  return *nodes.back();
}

bool bridge_node::turn(time_point now) {
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  const bool any = bridge().turn(now);
  return scheduler.run() > 0 || any;
}

bridge_node::~bridge_node() {
  if (!system_) return;
  for (const auto& actor : actors_)
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  actors_.clear();
  dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler()).run();
}

void bridge_world::remove(bridge_node& node) {
  std::erase_if(nodes, [&](const auto& other) { return other.get() == &node; });
}

bool bridge_world::run_until(const std::function<bool()>& what, duration limit) {
  const time_point end = now + limit;
  for (;;) {
    bool any = true;
    while (any) {
      any = false;
      for (const auto& node : nodes)
        if (!node->frozen) any = node->turn(now) || any;
      if (what && what()) return true;
    }
    if (now >= end) return false;
    time_point next = network.next_event();
    for (const auto& node : nodes)
      if (!node->frozen) next = std::min(next, node->bridge().mesh().next_deadline());
    now = std::min(end, std::max(next, now + std::chrono::microseconds(100)));
  }
}

caf::actor bridge_world::resolve(bridge_node& from, bridge_node& at, const std::string& name) {
  caf::actor found;
  std::string failure;
  from.bridge().resolve(at.where, name, [&](const result<caf::actor>& answer) {
    if (answer) found = *answer;
    if (!answer) failure = answer.error().message;
  });
  run_until([&] { return found || !failure.empty(); });
  INFO(failure);
  REQUIRE(found);
  return found;
}

std::string bridge_world::failure_to_resolve(bridge_node& from, const address& where, const std::string& name) {
  std::string failure;
  int n_calls = 0;
  from.bridge().resolve(where, name, [&](const result<caf::actor>& answer) {
    ++n_calls;
    failure = answer ? "found" : answer.error().message;
  });
  run_until([&] { return n_calls > 0; });
  settle();
  CHECK(n_calls == 1);
  return failure;
}

}  // namespace troupe::test
