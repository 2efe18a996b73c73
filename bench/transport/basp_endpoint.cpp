#include "bench/transport/actor_work.hpp"
#include "bench/transport/endpoints.hpp"

#include <caf/io/all.hpp>

namespace troupe::bench {
namespace {

measurement measure(caf::actor_system& system, const endpoint_task& task) {
  const auto server = system.middleman().remote_actor(task.host, task.port);
  if (!server) give_up("no connection: " + system.render(server.error()));
  if (task.work == "latency") return measure_latency(system, *server, task);
  if (task.work == "rate") return measure_rate(system, *server, task);
  return measure_idle(task);
}

}  // namespace

void run_basp_endpoint(const endpoint_task& task) {
  actor_configuration configuration;
  configuration.load<caf::io::middleman>();
  caf::actor_system system(configuration);
  if (task.work != "serve") bring_home(measure(system, task));
  const auto port = system.middleman().publish(spawn_server(system), 0, task.host.c_str());
  if (!port) give_up("cannot listen: " + system.render(port.error()));
  serve_on(*port);
}

}  // namespace troupe::bench
