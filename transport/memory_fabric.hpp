// Fabrics inside one process: no thread, no socket, no clock. A memory_network joins any number of them; each frame and
// part arrives in a later progress() of its receiver, after as much virtual time as the network's model says. Tests
// and the simulator turn it.
//
//   model        latency + size / bandwidth, a link at a time in order; a direction may have its own latency
//   cut, heal    nothing passes between two fabrics, or in one direction only; nobody is told (a silent partition)
//   crash        a fabric is gone: its peers are told after `crash_notice`, as UCX does for a killed process
//
// The same calls in the same order give the same events.
#pragma once

#include "transport/fabric.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace troupe::transport {

struct network_model {
  duration latency{0};
  double bytes_per_second = 0;  // 0: no limit
  double bulk_weight = 1;       // bytes on the wire for each byte of bulk memory: memory may stand for more than it is
  duration crash_notice = std::chrono::milliseconds(5);
};

class memory_network {
 public:
  /// `now` is asked whenever something is sent or turned; it must not go backwards.
  explicit memory_network(std::function<time_point()> now, const network_model& model = {});
  ~memory_network();
  memory_network(const memory_network&) = delete;
  memory_network& operator=(const memory_network&) = delete;

  /// The network must outlive the fabric. The name is the host of its addresses.
  std::unique_ptr<fabric> make_fabric(const std::string& host);

  void set_latency(const std::string& from, const std::string& to, duration latency);
  void cut(const std::string& from, const std::string& to);
  void heal(const std::string& from, const std::string& to);
  void crash(const std::string& host);

  /// When the next event is due for somebody; time_point::max() when nothing is on its way.
  time_point next_event() const;
  /// For one of them.
  time_point next_event(const std::string& host) const;

 private:
  friend class memory_fabric;
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe::transport
