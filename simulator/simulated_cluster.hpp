// A cluster of many instances on virtual time, for its performance: gateway, scheduler, workers, supervisors, members
// and registry as they are shipped, each node with its own actor system and transport over one memory network. Only
// the engines (simulated_engine: the books of the real one, the time of a cost model) and the network are models.
// simulated_world is for correctness and draws who acts next; here nodes act in order, as soon as they can.
//
// Cost: some 4 us a message; a request of 128 tokens takes about 1 ms. The same options and workload give the same
// trace_hash.
#pragma once

#include "policies/batching.hpp"
#include "policies/dispatch.hpp"
#include "policies/length_prediction.hpp"
#include "policies/llumnix_rescheduling.hpp"
#include "simulator/simulated_engine.hpp"
#include "simulator/simulation_outcome.hpp"
#include "simulator/workload.hpp"
#include "transport/memory_fabric.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulator {

struct instance_kind {
  std::string name = "instance";
  std::uint32_t count = 1;
  std::uint8_t roles = 3;  // worker_role
  policies::step_cost cost;
  std::uint32_t blocks = 1000;
  std::uint32_t max_context = 4096;
  std::uint32_t max_batched_tokens = 2048;
  std::uint32_t max_sequences = 256;
  std::uint32_t max_running = 0;
  std::uint32_t interleaved_prefill_tokens = 512;
  std::uint32_t attention_context = 0;  // batch_limits::attention_context
  bool prefix_caching = false;
};

/// What schedulers know of lengths.
enum class length_knowledge : std::uint8_t {
  none,     // an answer is as long as it may be
  learned,  // policies::length_histogram
  noisy,    // length_oracle with an error
  exact     // length_oracle
};

struct simulated_cluster_options {
  std::uint64_t seed = 1;
  std::vector<instance_kind> instances{instance_kind{}};
  transport::network_model network{.latency = std::chrono::microseconds(100)};
  double kv_bytes_per_token = 0;  // what moving a request's K and V puts on the wire; 0: nothing

  std::string dispatch = "least_loaded";
  policies::dispatch_settings dispatching{};
  std::string local_order = "fcfs";
  policies::batching_settings batching{};
  std::optional<policies::rescheduling_settings> rescheduling{};
  bool relocations = true;  // false: requests cannot move at all, not even from an instance that drains
  std::chrono::milliseconds reschedule_every{25};
  std::optional<policies::scaling_settings> scaling{};  // workers are started as the first kind of instance
  std::chrono::milliseconds scale_every{10'000};
  duration start_time = std::chrono::seconds(30);  // of an instance that is asked for
  std::size_t queue_capacity = 1'000'000;
  std::uint32_t worker_backlog = 16;
  std::map<std::string, double> tenant_weights{};

  length_knowledge lengths = length_knowledge::learned;
  double length_sigma = 0.5;     // of noisy knowledge
  double length_quantile = 0.5;  // that local orders use

  duration limit = std::chrono::hours(24);  // calls that have not ended by then are cut off
};

/// Runs a workload to its end.
simulation_outcome simulate(const simulated_cluster_options& options, const workload& asked);

}  // namespace troupe::simulator
