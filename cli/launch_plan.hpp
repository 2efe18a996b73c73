// Which processes make up a cluster, and on which hosts: what `troupe up` starts.
#pragma once

#include "base/result.hpp"
#include "cli/settings.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
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

  // For `troupe place`.
  std::uint32_t devices = 0;  // what workers compute on: GPUs, or shares of the processors; 0: as many as slots
  double memory_gib = 0;      // of each device; 0: not said, as below
  double within_gb_s = 0;     // between two devices of the host
  double between_gb_s = 0;    // between two hosts
  // Devices that one worker is split over. A plan may have it; workers of this build cannot be split.
  std::uint32_t tensor_parallel = 1;
  std::uint32_t pipeline_parallel = 1;
  friend bool operator==(const launch_host&, const launch_host&) = default;
};

/// Lines `host slots=N [roles=prefill|decode|worker] [threads=N]`, and the other keys of launch_host; # begins a
/// comment. Errors name the line.
result<std::vector<launch_host>> parse_hostfile(std::string_view text, const std::string& name);
/// The [[node]] tables of a cluster.toml: the keys of launch_host, roles as a text or a list. Errors name the line.
result<std::vector<launch_host>> read_cluster_file(const std::filesystem::path& file);

/// Errors: workers that this build cannot start, as they are split over several devices.
result<> check_startable(const std::vector<launch_host>& hosts);

struct launch_settings {
  std::string program;  // of troupe, the same path on every host
  std::string model;
  std::string head_address;               // HOST:PORT of the head's transport
  std::vector<std::string> shared_flags;  // for the head and for all nodes
  std::vector<std::string> ssh{"ssh"};    // the command and its own options
  std::uint32_t threads = 0;              // of a worker whose host does not say; 0: see launch_host
  std::uint32_t processors = 1;           // of this host
};

/// A command and its options, between white space.
std::vector<std::string> split_words(const std::string& text);

struct launch_process {
  std::string name;
  std::vector<std::string> command;
};

/// What was said on the command line, said again to another process, less some flags.
std::vector<std::string> say_again(const given_flags& flags, const std::string& file,
                                   std::span<const std::string_view> left_out);

/// One worker; `slots_here`: those that share this machine.
launch_process plan_node(const launch_settings& settings, const launch_host& host, std::string name,
                         std::uint32_t slots_here);

/// The head, which runs here and computes nothing itself, and then the workers.
std::vector<launch_process> plan_launch(const launch_settings& settings, const std::vector<launch_host>& hosts);

}  // namespace troupe::cli
