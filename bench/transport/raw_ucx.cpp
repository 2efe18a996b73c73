#include "bench/transport/raw_ucx.hpp"

#include "bench/clock.hpp"
#include "bench/free_port.hpp"
#include "bench/transport/child_process.hpp"

#include <chrono>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::bench {
namespace {

constexpr const char* perftest = "ucx_perftest";
constexpr auto longest_run = std::chrono::seconds(60);

// ucx_perftest -f -v writes a line of names and one of values:
//   iterations,99.0_percentile_lat,avg_lat,overall_lat,avg_bw,overall_bw,avg_mr,overall_mr
struct perftest_line {
  double percentile_us = 0;
  double mib_per_second = 0;
  double messages_per_second = 0;
};

result<perftest_line> parse(const std::string& output) {
  std::istringstream lines(output);
  std::vector<double> values;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("percentile") != std::string::npos) continue;
    values.clear();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');)
      values.push_back(std::strtod(field.c_str(), nullptr));
  }
  if (values.size() != 8) return make_error(errc::internal, "ucx_perftest wrote '" + output + "'.");
  return perftest_line{values[1], values[5], values[7]};
}

result<perftest_line> run(const raw_ucx_task& task, const std::string& test, int percentile) {
  std::vector<std::pair<std::string, std::string>> variables{{"UCX_TLS", task.transports}, {"UCX_NET_DEVICES", "lo"}};
  if (task.error_handling)  // without which there would be no shared memory (transport/ucx)
    variables.insert(variables.end(), {{"UCX_POSIX_ERROR_HANDLING", "y"}, {"UCX_CMA_MEMORY_INVALIDATE", "y"}});
  const auto on_core = [](std::vector<std::string> words, int core) {
    if (core >= 0) words.insert(words.end(), {"-c", std::to_string(core)});
    return words;
  };
  const auto deadline = clock::now() + longest_run;
  const std::string port = std::to_string(free_port());
  auto server = child_process::start(on_core({perftest, "-p", port}, task.server_core), variables);
  if (!server) return server.error();
  std::vector<std::string> words{perftest, "127.0.0.1",
                                 "-p",     port,
                                 "-t",     test,
                                 "-s",     std::to_string(task.bytes),
                                 "-n",     std::to_string(task.count),
                                 "-w",     std::to_string(warm_up_of(task.count)),
                                 "-R",     std::to_string(percentile),
                                 "-f",     "-v"};
  if (task.error_handling) words.push_back("-e");
  // The server does not say when it listens; a client that comes too early complains and ends.
  for (int attempt = 0; attempt < 20; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    auto client = child_process::start(on_core(words, task.client_core), variables);
    if (!client) return client.error();
    const auto ended = client->wait(deadline);
    if (!ended) return make_error(errc::internal, "ucx_perftest -t " + test + " did not end.");
    if (ended->second == 0) return parse(ended->first);
  }
  return make_error(errc::internal, "ucx_perftest -t " + test + " found no server.");
}

}  // namespace

bool raw_ucx_is_installed() {
  return find_program(perftest).has_value();
}

result<measurement> raw_ucx_latency(const raw_ucx_task& task) {
  const auto median = run(task, "ucp_am_lat", 50);
  if (!median) return median.error();
  const auto tail = run(task, "ucp_am_lat", 99);
  if (!tail) return tail.error();
  measurement made;
  made.p50_us = median->percentile_us;
  made.p99_us = tail->percentile_us;
  return made;
}

result<measurement> raw_ucx_rate(const raw_ucx_task& task) {
  const auto line = run(task, "ucp_am_bw", 50);
  if (!line) return line.error();
  measurement made;
  // Messages a second come without decimals, which is too coarse for large ones.
  made.per_second = task.bytes < 4096 ? line->messages_per_second
                                      : line->mib_per_second * 1048576.0 / static_cast<double>(task.bytes);
  return made;
}

}  // namespace troupe::bench
