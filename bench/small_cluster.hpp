// A head without an engine and some workers on loopback, one computing thread each, all in this process; and streams
// that keep when each token came. What `troupe bench migration` and `simulation` measure on.
#pragma once

#include "actors/cluster_client.hpp"
#include "actors/node.hpp"
#include "actors/worker_node.hpp"
#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::bench {

class timed_stream final : public generation_observer {
 public:
  void on_prompt_logprobs(std::span<const prompt_token_logprob>) override {}
  void on_tokens(std::span<const generated_token> tokens) override;
  void on_end(finish_reason, const token_usage&, const std::optional<error>& failure) override;

  /// False when it ended before, or not in time.
  bool wait_for_tokens(std::size_t n);
  std::size_t n_tokens() const;
  /// Of each token, or of each group of guessed ones that came together.
  std::vector<clock::time_point> times() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<clock::time_point> times_;
  std::size_t n_tokens_ = 0;
  bool ended_ = false;
};

double milliseconds(clock::duration d);
/// Between neighbouring tokens, from the one before `begin` on, in ms.
std::vector<double> gaps(const std::vector<clock::time_point>& times, std::size_t begin);

/// How a request moved.
struct move_times {
  double total_ms = 0;  // from the order until it is over
  double pause_ms = 0;  // in which no worker computed it
};

struct small_cluster_options {
  std::vector<std::string> roles{"worker", "worker"};  // of each worker
  std::uint32_t relocation_stages = 3;
  std::string transports{};  // cluster_options::transports
  std::string dispatch = "least_loaded";
  std::string scheduler = "fcfs";
  std::uint32_t max_num_seqs = 8;
};

class small_cluster {
 public:
  static result<std::unique_ptr<small_cluster>> start(const options& wanted, const small_cluster_options& of);
  /// `stages`: worker_options::relocation_stages. `transports`: cluster_options::transports.
  static result<std::unique_ptr<small_cluster>> start(const options& wanted, const std::vector<std::string>& roles,
                                                      std::uint32_t stages, const std::string& transports = "");

  /// A greedy request with a prompt that no other has.
  std::shared_ptr<timed_stream> begin(std::uint32_t prompt_tokens, std::uint32_t answer_tokens, request_id& id);
  void cancel(request_id id) { head_->service().cancel(id); }
  service_status status() const { return head_->service().status(); }
  /// Asks, and waits until it is over; nullopt: it did not move. One at a time.
  std::optional<move_times> move(request_id id);

 private:
  small_cluster() = default;
  /// Asks for a request to be moved to the other worker; false when it cannot be.
  bool migrate(request_id id);
  /// Of all workers.
  relocation_counts count_relocations();

  std::unique_ptr<node> head_;
  std::vector<std::unique_ptr<worker_node>> workers_;
  std::unique_ptr<cluster_client> client_;
};

}  // namespace troupe::bench
