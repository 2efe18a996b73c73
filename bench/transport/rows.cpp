#include "bench/transport/rows.hpp"

#include "bench/transport/pair.hpp"
#include "bench/transport/raw_ucx.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>

namespace troupe::bench {
namespace {

struct core_pair {
  int client = -1;
  int server = -1;
};

/// Two of the cores this process may use, where there are two.
core_pair find_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  std::vector<int> found;
  for (int core = 0; core < CPU_SETSIZE && found.size() < 2; ++core)
    if (CPU_ISSET(static_cast<std::size_t>(core), &allowed)) found.push_back(core);
  return found.size() == 2 ? core_pair{found[0], found[1]} : core_pair{};
}

/// An IPv4 address of this machine that is not loopback.
std::optional<std::string> find_own_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, ::freeifaddrs);
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    const auto bits = ntohl(reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr.s_addr);
    const auto byte = [&](int shift) { return std::to_string((bits >> shift) & 255); };
    if ((bits >> 24) != IN_LOOPBACKNET) return byte(24) + "." + byte(16) + "." + byte(8) + "." + byte(0);
  }
  return std::nullopt;
}

class row_list {
 public:
  row_list(const options& wanted, core_pair cores) : wanted_(wanted), cores_(cores) {}

  void add_troupe(const lane& over, const message_size& size) {
    endpoint_task task{.system = "troupe", .transports = over.transports, .bytes = size.bytes};
    for (const bool bulk : {false, true}) {
      if (bulk ? !size.is_bulk() : size.bytes > largest_message) continue;
      task.work = bulk ? "bulk_latency" : "latency";
      const std::string what = bulk ? "bulk, " : "";
      add_pair(name_of(size, over, what + "spinning"), spinning(task, size.n_spinning));
      add_pair(name_of(size, over, what + "asleep"), asleep(task, size.n_asleep));
    }
    task.work = size.is_bulk() ? "bulk_rate" : "rate";
    // A thread sends and another turns the mesh: the sender of small messages needs a core beside it.
    add_pair(name_of(size, over, "one way"),
             size.is_bulk() ? spinning(task, size.n_one_way) : unpinned(task, size.n_one_way));
    if (!size.is_bulk()) return;
    task.huge_pages = true;
    add_pair(name_of(size, over, "huge pages, one way"), spinning(task, size.n_one_way));
  }

  void add_sealed(const message_size& size, const std::string& own_address) {
    const endpoint_task task{
        .system = "troupe", .work = "bulk_rate", .transports = "tcp", .host = own_address, .bytes = size.bytes};
    add_pair(name_of(size, "sealed"), spinning(task, size.n_one_way / 4));
  }

  void add_basp(const message_size& size) {
    endpoint_task task{.system = "basp", .work = "latency", .bytes = size.bytes};
    add_pair(name_of(size, "BASP"), unpinned(task, size.n_basp));
    add_pair(name_of(size, "BASP, pinned"), spinning(task, size.n_basp));
    add_pair(name_of(size, "BASP, asleep"), asleep(task, size.n_asleep));
    if (size.is_bulk()) return;
    task.work = "rate";
    add_pair(name_of(size, "BASP, one way"), unpinned(task, size.n_one_way_basp));
    add_pair(name_of(size, "BASP, pinned, one way"), spinning(task, size.n_one_way_basp));
  }

  void add_raw(const lane& over, const message_size& size) {
    raw_ucx_task task{over.raw_transports, size.bytes, shorter(size.n_spinning), cores_.server, cores_.client};
    rows_.push_back({name_of(size, over, "raw"), [task] { return raw_ucx_latency(task); }});
    task.count = shorter(size.n_one_way);
    rows_.push_back({name_of(size, over, "raw, one way"), [task] { return raw_ucx_rate(task); }});
    if (!size.is_bulk()) return;
    task.error_handling = true;
    rows_.push_back({name_of(size, over, "raw, error handling, one way"), [task] { return raw_ucx_rate(task); }});
  }

  void add_idle() {
    for (const auto& over : lanes)
      add_idle("idle, " + std::string(over.name),
               {.system = "troupe", .work = "idle", .transports = over.transports, .spin_us = spin_us});
    add_idle("idle, BASP", {.system = "basp", .work = "idle"});
  }

  std::vector<row> take() { return std::move(rows_); }

 private:
  static constexpr std::int64_t spin_us = 50;
  static constexpr std::int64_t pause_us = 1'000;

  std::size_t shorter(std::size_t count) const { return wanted_.quick ? std::max<std::size_t>(count / 10, 4) : count; }

  endpoint_task spinning(endpoint_task task, std::size_t count) const {
    task = unpinned(task, count);
    task.core = cores_.client;
    return task;
  }
  endpoint_task unpinned(endpoint_task task, std::size_t count) const {
    task.spin_us = spin_us;
    task.count = shorter(count);
    return task;
  }
  endpoint_task asleep(endpoint_task task, std::size_t count) const {
    task.pause_us = pause_us;
    task.count = shorter(count);
    return task;
  }

  void add_idle(std::string name, endpoint_task task) {
    task.count = wanted_.quick ? 2 : 5;
    add_pair(std::move(name), task);
  }
  void add_pair(std::string name, const endpoint_task& task) {
    const int server_core = task.core >= 0 ? cores_.server : -1;
    rows_.push_back({std::move(name),
                     [troupe = wanted_.troupe, task, server_core] { return measure_pair(troupe, task, server_core); }});
  }

  const options& wanted_;
  core_pair cores_;
  std::vector<row> rows_;
};

}  // namespace

std::string name_of(const message_size& size, const std::string& how) {
  return std::string(size.name) + ", " + how;
}
std::string name_of(const message_size& size, const lane& over, const std::string& how) {
  return name_of(size, std::string(over.name) + ", " + how);
}

/// In an order that puts next to each other what is compared.
std::vector<row> rows_of(const options& wanted) {
  const auto cores = find_cores();
  const bool with_raw = raw_ucx_is_installed();
  const auto own_address = find_own_address();
  row_list rows(wanted, cores);
  for (const auto& size : sizes) {
    rows.add_basp(size);
    for (const auto& over : lanes) {
      rows.add_troupe(over, size);
      if (with_raw) rows.add_raw(over, size);
    }
    if (size.is_bulk() && own_address) rows.add_sealed(size, *own_address);
  }
  rows.add_idle();
  if (cores.client >= 0)
    std::printf("pinned when spinning: clients to core %d, servers to core %d; UCX alone likewise\n", cores.client,
                cores.server);
  else
    std::printf("nothing is pinned: that takes two cores\n");
  if (!with_raw) std::printf("no comparison with UCX alone: ucx_perftest (package ucx-utils) is not installed\n");
  if (!own_address) std::printf("no sealed transfers: this machine has no address but loopback\n");
  return rows.take();
}

}  // namespace troupe::bench
