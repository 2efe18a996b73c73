// The metrics of one process, in the text format that Prometheus scrapes (exposition format 0.0.4), served by our own
// HTTP. Recording costs an atomic addition, or an uncontended lock for histograms and for metrics with labels; all of
// it is safe from any thread. The metrics library stays out of this header.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

struct metrics_options {
  std::string version;     // of troupe_build_info
  std::string model_name;  // of the vllm: aliases, which carry it as a label
};

struct kv_block_counts {
  std::size_t total = 0;
  std::size_t used = 0;    // held by running requests
  std::size_t cached = 0;  // held only by the prefix cache, free to be evicted
};

/// What a node's transport has done since its start.
struct transport_counts {
  std::size_t nodes = 0;  // connected now
  std::uint64_t nodes_lost = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::map<std::string, std::uint64_t> refusals;  // frames and handshakes, by reason
};

/// Requests that moved from worker to worker, or did not.
struct relocation_outcomes {
  std::uint64_t moved = 0;
  std::uint64_t refused = 0;
  std::uint64_t failed = 0;
  std::chrono::microseconds pause{};  // of those that moved, together
};

class metrics {
 public:
  using seconds = std::chrono::duration<double>;

  explicit metrics(metrics_options options);
  ~metrics();
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  // The engine.
  void set_requests(std::size_t running, std::size_t waiting);
  void set_kv_blocks(const kv_block_counts& blocks);  // also the usage ratio: used / total
  void add_prefix_cache_lookup(std::uint64_t queried_tokens, std::uint64_t hit_tokens);
  void add_guesses(std::uint64_t tried_tokens, std::uint64_t right_tokens);
  void add_relocations(const relocation_outcomes& more);
  void add_prompt_tokens(std::uint64_t tokens);
  void add_generation_tokens(std::uint64_t tokens);

  // The life of a request.
  void observe_queue_time(seconds time);
  void observe_time_to_first_token(seconds time);
  void observe_inter_token_latency(seconds time);
  void observe_e2e_request_latency(seconds time);
  /// outcome: stop, length, cancelled, error, …
  void count_request(std::string_view outcome);
  /// reason: overloaded, too_large, unauthenticated, …
  void count_rejected_request(std::string_view reason);

  // The gateway and the supervisor.
  void count_http_request(std::string_view path, int status);
  void set_http_connections(std::size_t open);
  void count_worker_restart();

  // The transport.
  void set_transport(const transport_counts& counts);

  /// All of it as text. With vllm_aliases, the metrics that vLLM has too once more under its names.
  std::string expose(bool vllm_aliases) const;

  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct state;
  const std::unique_ptr<state> state_;
};

}  // namespace troupe
