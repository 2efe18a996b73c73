// What every benchmark writes: claims, each with what was measured, what it was measured against and whether it holds.
// The format is that of docs/benchmarks.md; fields that do not apply are null. `ok` is computed from value and target,
// never given.
#pragma once

#include "base/build_info.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::bench {

enum class goal { at_least, at_most };

struct claim {
  std::string name;
  std::string unit;
  std::vector<double> samples;  // of the same thing; the median is the value
  std::optional<double> target;
  goal direction = goal::at_least;
  std::optional<double> bound = {};  // what the machine could do at most, in the same unit
  std::string peer = {};             // what it is compared with; empty: nothing
  std::vector<double> peer_samples = {};
};

inline double median(std::vector<double> samples) {
  std::ranges::sort(samples);
  const std::size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

/// Half the distance between the quartiles, as a share of the median.
inline double spread(std::vector<double> samples) {
  std::ranges::sort(samples);
  const auto quartile = [&](double q) {
    return samples[static_cast<std::size_t>(std::lround(q * static_cast<double>(samples.size() - 1)))];
  };
  const double middle = median(samples);
  return middle == 0 ? 0 : std::abs((quartile(0.75) - quartile(0.25)) / 2 / middle);
}

/// The first CPU's name, as the kernel tells it, and how many there are.
inline std::string machine_name() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);)
    if (line.starts_with("model name"))
      return line.substr(line.find(':') + 2) + ", " + std::to_string(std::thread::hardware_concurrency()) +
             " processors";
  return "unknown";
}

/// What this process was started with, as it was typed.
inline std::string command_line() {
  std::ifstream file("/proc/self/cmdline");
  std::string command;
  for (std::string word; std::getline(file, word, '\0');)
    command += (command.empty() ? "" : " ") + word;
  return command;
}

class report {
 public:
  explicit report(std::string bench) : bench_(std::move(bench)), command_(command_line()) {}

  /// Adds a claim and prints it.
  void add(const claim& c) {
    const double value = median(c.samples);
    nlohmann::json ok;
    if (c.target) {
      ok = c.direction == goal::at_least ? value >= *c.target : value <= *c.target;
      all_ok_ = all_ok_ && ok.get<bool>();
    }
    std::printf("%-60s %12.6g %-8s", c.name.c_str(), value, c.unit.c_str());
    if (c.target) {
      std::printf(" target %s %g %s", c.direction == goal::at_least ? ">=" : "<=", *c.target, ok ? "ok" : "MISSED");
    }
    const bool compared = !c.peer.empty() && !c.peer_samples.empty();
    const double peer_value = compared ? median(c.peer_samples) : 0;
    // How many times better than the peer.
    const double ratio = c.direction == goal::at_least ? value / peer_value : peer_value / value;
    if (compared) std::printf(" %.2f x %s (%.6g)", ratio, c.peer.c_str(), peer_value);
    if (c.bound) std::printf(" %3.0f %% of %.1f", 100 * value / *c.bound, *c.bound);
    std::printf("  (n %zu, spread %.1f %%)\n", c.samples.size(), 100 * spread(c.samples));
    claims_.push_back({{"claim", c.name},
                       {"system", "troupe"},
                       {"value", value},
                       {"unit", c.unit},
                       {"peer", compared ? nlohmann::json(c.peer) : nlohmann::json()},
                       {"peer_value", compared ? nlohmann::json(peer_value) : nlohmann::json()},
                       {"ratio", compared ? nlohmann::json(ratio) : nlohmann::json()},
                       {"bound", c.bound ? nlohmann::json(*c.bound) : nlohmann::json()},
                       {"share_of_bound", c.bound ? nlohmann::json(value / *c.bound) : nlohmann::json()},
                       {"target", c.target ? nlohmann::json(*c.target) : nlohmann::json()},
                       {"direction", c.direction == goal::at_least ? "at_least" : "at_most"},
                       {"ok", ok},
                       {"n", c.samples.size()},
                       {"spread", spread(c.samples)}});
  }

  /// Every claim that has a target reaches it.
  bool ok() const { return all_ok_; }

  nlohmann::json json() const {
    return {{"bench", bench_},
            {"command", command_},
            {"machine", machine_name()},
            {"commit", commit()},
            {"claims", claims_}};
  }

 private:
  std::string bench_;
  std::string command_;
  nlohmann::json claims_ = nlohmann::json::array();
  bool all_ok_ = true;
};

}  // namespace troupe::bench
