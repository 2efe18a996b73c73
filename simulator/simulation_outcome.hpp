// What came of a simulated workload, call by call and instance by instance. Times are seconds since the beginning.
#pragma once

#include "base/generation.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::simulator {

struct call_outcome {
  std::uint32_t program = 0;  // index into the workload
  std::uint32_t stage = 0;
  std::uint32_t call = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t n_tokens = 0;  // that the client got
  // Token i no later than arrival + TTFT + i TPOT of the program's objective; all of them when it has none.
  std::uint32_t tokens_in_time = 0;
  double arrival_s = 0;
  double first_token_s = 0;  // 0: none came
  double end_s = 0;
  double longest_gap_s = 0;  // between two tokens
  double preempted_s = 0;    // from preemptions to the next token
  finish_reason reason = finish_reason::unfinished;
  errc failure = errc::internal;  // meaningful when reason is failed

  bool is_whole() const { return reason == finish_reason::stop || reason == finish_reason::length; }
  double ttft_s() const { return first_token_s - arrival_s; }
  double e2e_s() const { return end_s - arrival_s; }
  /// Of the tokens after the first; 0 for an answer of one token.
  double tpot_s() const { return n_tokens > 1 ? (end_s - first_token_s) / (n_tokens - 1) : 0.0; }
};

struct instance_sample {
  double at_s = 0;
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint32_t blocks_used = 0;
};

struct instance_outcome {
  std::string name;
  double up_since_s = 0;
  double up_until_s = 0;
  double busy_s = 0;
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0;
  std::uint32_t blocks_total = 0;
  std::vector<instance_sample> samples;
};

struct simulation_outcome {
  std::vector<call_outcome> calls;  // by program, stage and call
  std::vector<instance_outcome> instances;
  std::uint64_t moved = 0;          // requests, from one instance to another
  std::uint64_t moves_refused = 0;  // or failed
  std::uint64_t messages = 0;
  std::uint64_t trace_hash = 0;  // of who got which token when
  double duration_s = 0;         // of virtual time
  double wall_s = 0;
};

}  // namespace troupe::simulator
