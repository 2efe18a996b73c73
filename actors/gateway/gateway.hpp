// The gateway actor: owns the streams of this process's clients. It gives every client its tokens in order, each once,
// submits a request again when its worker is lost, and is the one place that knows what has been delivered.
#pragma once

#include "actors/messages.hpp"
#include "base/generation_service.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe {

class metrics;

/// The gateway's figures as others may read them at any time.
class status_board {
 public:
  service_status read() const {
    std::lock_guard lock(mutex_);
    return status_;
  }
  template <class Change>
  void update(Change&& change) {
    std::lock_guard lock(mutex_);
    change(status_);
  }

 private:
  mutable std::mutex mutex_;
  service_status status_;
};

struct gateway_config {
  caf::actor scheduler;
  std::shared_ptr<status_board> board;
  std::shared_ptr<troupe::metrics> metrics;  // may be null
  std::uint32_t max_incarnations = 4;        // how often a request may be begun before it fails
  std::chrono::milliseconds gap_limit{500};  // for the last words of an owner that gave a request away
};

struct gateway_state {
  static inline const char* name = "gateway";

  struct stream {
    std::shared_ptr<generation_observer> observer;
    generation_request request;  // resumed = what has been delivered, so that it can be submitted again as it is
    troupe::epoch epoch;
    std::uint32_t retries = 0;  // of submitting the present epoch
    std::uint32_t initially_resumed = 0;
    std::uint32_t delivered = 0;  // tokens given to the observer
    bool prompt_delivered = false;
    // What a new owner said before the old one's last word came.
    std::vector<token_chunk> early;
    std::optional<request_ended> early_end;
    bool gap_watched = false;  // a gap_check is under way
    caf::actor_clock::time_point submitted{};
    caf::actor_clock::time_point last_token{};
  };

  std::unordered_map<request_id, stream> streams;
  using totals = std::pair<std::uint64_t, std::uint64_t>;
  totals prefix_tokens_seen{};               // queried, hit: as last reported
  totals guesses_seen{};                     // tried, right: as last reported
  std::array<totals, 2> relocations_seen{};  // moved and the pauses, refused and failed
  std::uint64_t discarded_messages = 0;      // of older epochs or ended streams
};

caf::behavior gateway_actor(caf::stateful_actor<gateway_state>* self, gateway_config config);

/// The gateway as the rest of the process sees it. Thread-safe.
class gateway_service final : public generation_service {
 public:
  gateway_service(caf::actor gateway, std::shared_ptr<status_board> board);

  request_id next_request_id() override;
  void submit(generation_request request, std::shared_ptr<generation_observer> observer) override;
  void cancel(request_id id) override;
  service_status status() const override;

 private:
  caf::actor gateway_;
  std::shared_ptr<status_board> board_;
  std::atomic<std::uint64_t> next_id_{1};
};

}  // namespace troupe
