// Watches a simulated cluster: what every actor is about to handle passes by here. Keeps the invariants that can be
// seen on the way (docs/reliability.md has their numbers), tells hooks where in a protocol the cluster is, and sums all
// events up, so that two runs can be compared.
#pragma once

#include "base/clock.hpp"
#include "base/generation_service.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/all.hpp>

namespace troupe::simulator {

/// A moment in the life of a node. Of messages: "before" and "after" an actor of it handles one, `what` being the
/// message's name. "call": of the engine (engine.pause, …) or of bulk memory (bulk.send, bulk.sent, bulk.received).
struct moment {
  std::size_t node = 0;
  std::string_view when;
  std::string_view what;
};

class world_observer {
 public:
  std::function<void(const moment&)> on_moment;
  /// Every message, a line each, for people; nullptr: not written.
  std::FILE* trace = nullptr;

  /// Two runs that are the same have the same.
  std::uint64_t trace_hash() const { return hash_; }
  std::uint64_t n_messages() const { return n_messages_; }
  const std::vector<std::string>& violations() const { return violations_; }
  void violate(std::string what);

  void note(std::uint64_t number);
  void note(std::string_view text);

  /// A client has the end of its request: workers must hear of it.
  void note_end(request_id request) { ended_.emplace(request, now_); }

  /// An actor is about to handle its next message, and has. What begin() gives is to be given to end().
  std::string_view begin(time_point now, std::size_t node, caf::resumable& job);
  void end(std::size_t node, std::string_view message);
  void tell(std::size_t node, std::string_view when, std::string_view what);

 private:
  static constexpr std::size_t max_violations = 20;
  // A relocation that goes wrong may leave two owners for its step limit.
  static constexpr duration longest_afterlife = std::chrono::milliseconds(3500);
  static constexpr duration longest_overlap = std::chrono::milliseconds(1500);  // of an owner with the next one
  using place = std::pair<std::string, std::uint64_t>;                          // node, actor

  void see_content(std::size_t node, const caf::scheduled_actor& receiver, const caf::mailbox_element& letter);

  std::uint64_t hash_ = 0;
  std::uint64_t n_messages_ = 0;
  std::vector<std::string> violations_;
  std::map<request_id, time_point> ended_;
  struct ownership {
    epoch highest;
    time_point since;  // its first chunk
  };
  std::map<request_id, ownership> owners_;
  std::map<std::pair<request_id, epoch>, place> emitters_;  // I3
  time_point now_{};
  std::map<std::pair<std::pair<std::size_t, std::uint64_t>, place>, int> told_;  // down messages of now: whom, of whom
};

/// What a client was told; checks it against the whole answer while it comes (I1, I2, I4).
class client_stream final : public generation_observer {
 public:
  client_stream(world_observer& observer, const generation_request& request);

  void on_prompt_logprobs(std::span<const prompt_token_logprob> prompt) override;
  void on_tokens(std::span<const generated_token> fresh) override;
  void on_end(finish_reason why, const token_usage& used, const std::optional<error>& failed) override;

  const request_id id;
  std::vector<token_id> tokens;
  std::size_t n_prompt_logprobs = 0;
  int ends = 0;
  finish_reason reason = finish_reason::unfinished;
  token_usage usage;
  std::optional<error> failure;
  bool whole() const { return ends == 1 && tokens.size() == expected_.size(); }

 private:
  world_observer& observer_;
  std::vector<token_id> expected_;
};

}  // namespace troupe::simulator
