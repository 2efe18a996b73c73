// How a process takes part in a cluster.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace troupe {

struct cluster_options {
  std::string listen;                 // HOST:PORT for other nodes; empty: none may connect
  std::string join;                   // HOST:PORT of the head; empty: this is the head
  std::string name = "troupe";        // of the cluster: nodes of another are refused
  std::string node_name;              // empty: host name and process id
  std::string roles = "worker";       // worker, prefill, decode
  std::filesystem::path secret_file;  // empty: loopback only
  std::string state;                  // of the head's registry: an SQLite file or etcd://…; empty: in memory
  bool trusted_fabric = false;        // frames between hosts are not sealed
  std::string transports;             // UCX_TLS; empty: all there are
  std::chrono::milliseconds beat_every{200};
  std::chrono::milliseconds dead_after{1000};
  std::chrono::microseconds spin{0};  // polling before the transport sleeps
};

}  // namespace troupe
