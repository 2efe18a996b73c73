// What `troupe bench transport-endpoint TASK` runs: one process of a pair.
#include "bench/benchmarks.hpp"
#include "bench/transport/actor_work.hpp"
#include "bench/transport/endpoints.hpp"

#include <cstdio>

#include <sched.h>
#include <unistd.h>

namespace troupe::bench {

void serve_on(std::uint16_t port) {
  std::printf("%u\n", unsigned{port});
  std::fflush(stdout);
  while (true)
    ::pause();
}

// Not by return: an actor system waits for its actors, and a connection for its peer.
void bring_home(const measurement& made) {
  std::printf("%s\n", nlohmann::json(made).dump().c_str());
  std::fflush(stdout);
  ::_exit(0);
}

int transport_endpoint(const std::string& task_as_json) {
  const auto parsed = nlohmann::json::parse(task_as_json, nullptr, false);
  if (!parsed.is_object()) give_up("a task is JSON, as `troupe bench transport` writes it");
  const auto task = parsed.get<endpoint_task>();
  if (task.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<std::size_t>(task.core), &cores);
    if (::sched_setaffinity(0, sizeof cores, &cores) != 0) give_up("cannot run on the core it was given");
  }
  if (task.system == "basp") run_basp_endpoint(task);
  run_troupe_endpoint(task);
}

}  // namespace troupe::bench
