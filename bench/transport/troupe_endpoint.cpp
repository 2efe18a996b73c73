#include "bench/transport/actor_work.hpp"
#include "bench/transport/bulk_work.hpp"
#include "bench/transport/endpoints.hpp"
#include "transport/bridge/bridge.hpp"
#include "transport/security/secure_random.hpp"
#include "transport/ucx/ucx_fabric.hpp"

#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace troupe::bench {
namespace {

using transport::bridge;

/// The pair's own: it guards nothing but the benchmark's patterns.
std::shared_ptr<const transport::cluster_secret> known_secret() {
  std::string text;
  for (int i = 0; i < 64; ++i)
    text += "0123456789abcdef"[i * 7 % 16];
  auto made = transport::cluster_secret::from(std::as_bytes(std::span(text)));
  if (!made) give_up(made.error().message);
  return std::make_shared<const transport::cluster_secret>(*std::move(made));
}

std::shared_ptr<transport::bridge_options> bridge_options_of(const endpoint_task& task) {
  auto made = std::make_shared<transport::bridge_options>();
  if (!transport::is_loopback(task.host)) made->mesh.secret = known_secret();
  made->mesh.fill_random = transport::fill_with_secure_random;
  // Sixty-four MiB by messages of a busy machine may keep a thread away for longer than a cluster's default.
  made->mesh.dead_after = std::chrono::seconds(10);
  made->make_fabric = [task] {
    transport::ucx_options ucx;
    ucx.transports = task.transports;
    ucx.bind_host = task.host;
    return transport::make_ucx_fabric(ucx);
  };
  made->spin = std::chrono::microseconds(task.spin_us);
  // A server's client leaves without a word; what a client loses ends it, and shows.
  if (task.work != "serve")
    made->on_event = [](std::string_view event, std::string_view, std::string_view why) {
      std::fprintf(stderr, "%s: %s\n", std::string(event).c_str(), std::string(why).c_str());
    };
  return made;
}

caf::actor connect(bridge& at, const endpoint_task& task) {
  std::promise<caf::actor> found;
  at.resolve({task.host, task.port}, "server", [&](const result<caf::actor>& answer) {
    if (!answer) give_up(answer.error().message);
    found.set_value(*answer);
  });
  return found.get_future().get();
}

measurement measure(caf::actor_system& system, bridge& at, const endpoint_task& task) {
  const auto server = connect(at, task);
  if (task.work == "latency") return measure_latency(system, server, task);
  if (task.work == "rate") return measure_rate(system, server, task);
  if (task.work == "bulk_latency")
    return measure_bulk_latency(system, at, find_actor(system, server, caf::atom("player")), task);
  if (task.work == "bulk_rate")
    return measure_bulk_rate(system, at, find_actor(system, server, caf::atom("bulk")), task);
  return measure_idle(task);
}

}  // namespace

void run_troupe_endpoint(const endpoint_task& task) {
  actor_configuration configuration;
  bridge::install(configuration, bridge_options_of(task));
  caf::actor_system system(configuration);
  auto& at = bridge::of(system);
  if (task.work != "serve") bring_home(measure(system, at, task));
  at.publish("server", spawn_server(system, {{caf::atom("player"), spawn_bulk_player(system, at)},
                                             {caf::atom("bulk"), spawn_bulk_sink(system, at)}}));
  const auto bound = at.listen({task.host, 0});
  if (!bound) give_up(bound.error().message);
  serve_on(bound->port);
}

}  // namespace troupe::bench
