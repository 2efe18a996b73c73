// The border between whoever speaks to clients (HTTP endpoint, in-process client, command line) and whoever answers
// (the gateway actor). Both sides are tested alone against a fake of the other.
#pragma once

#include "base/generation.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// Receives one stream. Called by one thread at a time, in order: on_prompt_logprobs (only if asked for, before the
/// first token), any number of on_tokens, one on_end, nothing after. Must return quickly and must not throw.
class generation_observer {
 public:
  virtual ~generation_observer() = default;
  virtual void on_prompt_logprobs(std::span<const prompt_token_logprob> prompt) = 0;
  virtual void on_tokens(std::span<const generated_token> tokens) = 0;
  /// `failure` is set exactly when reason is failed. A request that was refused gets only this call.
  virtual void on_end(finish_reason reason, const token_usage& usage, const std::optional<error>& failure) = 0;
};

/// What is going on, for /health, /metrics and the page. Numbers of this moment.
struct service_status {
  bool ready = false;  // at least one worker can take a request
  std::uint32_t workers = 0;
  std::uint32_t requests_running = 0;
  std::uint32_t requests_waiting = 0;
  std::uint32_t kv_blocks_used = 0;    // referenced by running sequences
  std::uint32_t kv_blocks_cached = 0;  // kept only because a prompt may need them again
  std::uint32_t kv_blocks_total = 0;
  std::uint64_t prompt_tokens_total = 0;
  std::uint64_t generation_tokens_total = 0;
  std::uint64_t prefix_cache_queries_total = 0;  // tokens looked up
  std::uint64_t prefix_cache_hits_total = 0;     // tokens found
};

/// All members may be called from any thread and never block on the model.
class generation_service {
 public:
  virtual ~generation_service() = default;
  /// A fresh id; requests carry one so that they can be cancelled.
  virtual request_id next_request_id() = 0;
  /// Every submit ends in exactly one on_end, whatever happens.
  virtual void submit(generation_request request, std::shared_ptr<generation_observer> observer) = 0;
  /// Ends the stream with finish_reason::cancelled and frees its blocks. Unknown or ended ids are ignored.
  virtual void cancel(request_id id) = 0;
  virtual service_status status() const = 0;
};

}  // namespace troupe
