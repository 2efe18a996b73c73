// What the scheduler knows of one worker: what it reported, and what it was given since.
#pragma once

#include "actors/messages.hpp"
#include "policies/dispatch.hpp"

#include <cstdint>
#include <deque>

namespace troupe {

class worker_books {
 public:
  worker_books(worker_id id, caf::actor handle, std::uint8_t roles, bool draining);

  /// KV blocks of so many tokens. Only a measure: what really fits is the engine's business.
  static std::uint32_t blocks_of(std::uint32_t tokens);

  const caf::actor& handle() const { return handle_; }
  const load_report& report() const { return report_; }
  /// As policies see it.
  const policies::dispatch_worker& load() const { return load_; }
  /// Takes nothing before its first report, nor when it drains.
  bool is_able() const { return reported_ && !load_.draining; }
  bool has_reported() const { return reported_; }
  bool is_draining() const { return load_.draining; }
  bool can(std::uint8_t role) const { return (roles_ & role) != 0; }

  void drain() { load_.draining = true; }
  /// `backlog`: requests it may hold beyond what its engine runs at once.
  void take_report(const load_report& report, std::uint32_t backlog);
  /// The number of the assignment.
  std::uint64_t give(std::uint32_t prompt_tokens, bool urgent, double work_s);
  /// A request came from another worker, or is here no longer.
  void add(bool urgent, double work_s);
  void remove(bool urgent, double work_s);

  /// A request will come from another worker, after its prefill there; it came, or will not.
  void expect(std::uint32_t prompt_tokens);
  void stop_expecting(std::uint32_t prompt_tokens);
  /// With what is expected. It never looks full because of that: whether it has room then is seen then.
  policies::dispatch_worker load_expected() const;

  caf::actor_clock::time_point moves_again{};  // it is not asked to give requests away before

 private:
  struct coming {
    std::uint64_t number;
    std::uint32_t tokens;
    std::uint32_t blocks;
  };
  void count_coming();

  caf::actor handle_;
  std::uint8_t roles_;
  bool reported_ = false;
  load_report report_;
  policies::dispatch_worker load_;
  std::uint64_t given_ = 0;
  std::deque<coming> coming_;  // not in the report yet
  std::uint32_t expected_ = 0;
  std::uint32_t expected_blocks_ = 0;
};

}  // namespace troupe
