#include "bench/transport/pair.hpp"

#include "bench/clock.hpp"
#include "bench/transport/child_process.hpp"

#include <charconv>
#include <chrono>
#include <string>

namespace troupe::bench {
namespace {

constexpr auto longest_start = std::chrono::seconds(15);
constexpr auto longest_run = std::chrono::seconds(60);

result<child_process> start(const std::filesystem::path& troupe, const endpoint_task& task) {
  return child_process::start({troupe, "bench", "transport-endpoint", nlohmann::json(task).dump()});
}

}  // namespace

result<measurement> measure_pair(const std::filesystem::path& troupe, endpoint_task client, int server_core) {
  auto serving = client;
  serving.work = "serve";
  serving.core = server_core;
  auto server = start(troupe, serving);
  if (!server) return server.error();
  const auto port = server->read_line(clock::now() + longest_start);
  if (!port) return make_error(errc::internal, "The server of a pair did not say where it listens.");
  std::from_chars(port->data(), port->data() + port->size(), client.port);
  client.server = server->id();

  auto measuring = start(troupe, client);
  if (!measuring) return measuring.error();
  const auto ended = measuring->wait(clock::now() + longest_run);
  if (!ended) return make_error(errc::internal, "The client of a pair did not end.");
  const auto made = nlohmann::json::parse(ended->first, nullptr, false);
  if (ended->second != 0 || !made.is_object()) return make_error(errc::internal, "The client of a pair gave up.");
  return made.get<measurement>();
}

}  // namespace troupe::bench
