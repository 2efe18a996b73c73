// Which processes make up a cluster, and on which hosts: what `troupe up` starts.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

/// Workers of one kind on one host.
struct launch_host {
  std::string host = "localhost";
  std::uint32_t slots = 1;  // workers
  std::string roles = "worker";
  std::uint32_t threads = 0;  // of each worker; 0: the host's processors divided among its slots
  friend bool operator==(const launch_host&, const launch_host&) = default;
};

/// Lines `host slots=N [roles=prefill|decode|worker] [threads=N]`; # begins a comment. Errors name the line.
result<std::vector<launch_host>> parse_hostfile(std::string_view text, const std::string& name);
/// The [[node]] tables of a cluster.toml: host, slots, roles (text or list), threads. Errors name the line.
result<std::vector<launch_host>> read_cluster_file(const std::filesystem::path& file);

struct launch_settings {
  std::string program;  // of troupe, the same path on every host
  std::string model;
  std::string head_address;               // HOST:PORT of the head's transport
  std::vector<std::string> shared_flags;  // for the head and for all nodes
  std::vector<std::string> ssh{"ssh"};    // the command and its own options
  std::uint32_t threads = 0;              // of a worker whose host does not say; 0: see launch_host
  std::uint32_t processors = 1;           // of this host
};

struct launch_process {
  std::string name;
  std::vector<std::string> command;
};

/// The head, which runs here and computes nothing itself, and then the workers.
std::vector<launch_process> plan_launch(const launch_settings& settings, const std::vector<launch_host>& hosts);

}  // namespace troupe::cli
