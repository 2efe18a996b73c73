// A thousand open streams on the server's one thread: every event arrives, in order, soon, and idle connections are
// cheap.
#include "catch.hpp"
#include "raw_client.hpp"
#include "test_server.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <thread>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::http::test;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::chrono::microseconds processor_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/// Reads the event streams of many clients in one thread. Each event is the time it was sent at, so its delay is known
/// on arrival.
class event_reader {
 public:
  explicit event_reader(const std::vector<std::unique_ptr<raw_client>>& clients) : partial_(clients.size()) {
    for (const auto& each : clients)
      waited_.push_back({each->descriptor(), POLLIN, 0});
  }

  void read_until(std::size_t events, steady::time_point deadline) {
    while (delays_.size() < events && steady::now() < deadline) {
      if (poll(waited_.data(), waited_.size(), 100) <= 0) continue;
      for (std::size_t i = 0; i < waited_.size(); ++i) {
        if (waited_[i].revents != 0) read_one(i);
      }
    }
  }

  const std::vector<double>& sorted_delays_ms() {
    std::sort(delays_.begin(), delays_.end());
    return delays_;
  }

 private:
  void read_one(std::size_t i) {
    char buffer[4096];
    const auto size = recv(waited_[i].fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size <= 0) return;
    const auto now = steady::now().time_since_epoch().count();
    auto& text = partial_[i];
    text.append(buffer, static_cast<std::size_t>(size));
    std::size_t done = 0;
    for (auto end = text.find("\n\n"); end != std::string::npos; end = text.find("\n\n", done)) {
      const auto field = text.find("data: ", done);
      if (field < end)
        delays_.push_back(static_cast<double>(now - std::stoll(text.substr(field + 6, end - field - 6))) / 1e6);
      done = end + 2;
    }
    text.erase(0, done);
  }

  std::vector<pollfd> waited_;
  std::vector<std::string> partial_;
  std::vector<double> delays_;
};

}  // namespace

TEST_CASE("a thousand streams get an event every 20 ms", "[http]") {
  constexpr std::size_t streams = 1000;
  constexpr int rounds = 75;
  limits bounds;
  bounds.connections = streams;
  test_server served(bounds);
  const auto memory_before = resident_bytes();
  std::vector<std::unique_ptr<raw_client>> clients;
  for (std::size_t i = 0; i < streams; ++i)
    clients.push_back(std::make_unique<raw_client>(served.port()));
  REQUIRE(eventually([&] { return served.server().status().connections == streams; }));
  const auto idle_memory = (resident_bytes() - memory_before) / streams;
  const auto idle_begin = processor_time();
  std::this_thread::sleep_for(300ms);
  const auto idle_time = processor_time() - idle_begin;

  std::vector<std::shared_ptr<response_stream>> open;
  for (auto& each : clients) {
    REQUIRE(each->send(get("/hold")));
    open.push_back(served.wait_held());
    open.back()->start_events({});
  }
  event_reader reader(clients);
  std::thread sender([&] {
    auto next = steady::now();
    for (int round = 0; round < rounds; ++round) {
      for (const auto& each : open)
        each->send_event(std::to_string(steady::now().time_since_epoch().count()));
      next += 20ms;
      std::this_thread::sleep_until(next);
    }
  });
  reader.read_until(streams * rounds, steady::now() + 20s);
  sender.join();
  const auto& delays = reader.sorted_delays_ms();
  REQUIRE(delays.size() == streams * rounds);
  const auto quantile = [&](double q) {
    return delays[static_cast<std::size_t>(q * static_cast<double>(delays.size() - 1))];
  };
  std::cout << "1,000 streams, an event every 20 ms: delay p50 " << quantile(0.5) << " ms, p99 " << quantile(0.99)
            << " ms, max " << delays.back() << " ms; " << idle_memory << " bytes a connection when idle; "
            << idle_time.count() << " us of processor in 300 idle ms\n";
  CHECK(quantile(0.5) < 200);  // a busy machine's bounds; the numbers above are the measurement
  CHECK(idle_memory < 16 * 1024);
  CHECK(idle_time < 30ms);
  for (const auto& each : open)
    each->end_events();
}
