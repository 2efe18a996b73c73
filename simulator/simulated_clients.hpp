// The clients of a simulated cluster: they send a workload's calls when they are due, note what comes back and when,
// and go on to a program's next stage when the one before has ended.
#pragma once

#include "base/clock.hpp"
#include "base/generation_service.hpp"
#include "simulator/simulation_outcome.hpp"
#include "simulator/workload.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

namespace troupe::simulator {

class simulated_clients {
 public:
  /// `begin`: when the workload begins on the clock `now`. max_context: of every instance.
  simulated_clients(const workload& asked, generation_service& service, std::function<time_point()> now,
                    time_point begin, std::uint32_t max_context, std::uint64_t seed);

  /// When the next program comes; time_point::max() after the last.
  time_point next_arrival() const;
  /// Sends what is due.
  void send_due();
  bool all_ended() const { return next_ == asked_.size() && n_open_ == 0; }

  /// For the engines and the length oracle; 0 for a request that is not of the workload.
  std::uint32_t answer_length(request_id request) const;
  /// An engine took a request's blocks away.
  void note_preemption(request_id request);

  std::vector<call_outcome> take_outcomes();
  std::uint64_t trace_hash() const { return hash_; }

 private:
  class observer;
  struct place {
    std::size_t outcome;
    double preempted_at_s = -1;
  };
  struct progress {
    std::size_t stage = 0;
    std::size_t calls_left = 0;
  };

  double seconds_now() const;
  void send_stage(std::size_t program);
  void send(std::size_t program, std::size_t stage, std::size_t call);
  std::vector<token_id> make_prompt(std::size_t program, std::size_t stage, std::size_t call) const;
  void take_tokens(request_id request, std::size_t n);
  void take_end(request_id request, finish_reason reason, const token_usage& usage, errc failure);
  void fold(std::uint64_t value);

  const workload& asked_;
  generation_service& service_;
  std::function<time_point()> now_;
  time_point begin_;
  std::uint32_t max_context_;
  std::uint64_t seed_;
  std::size_t next_ = 0;
  std::size_t n_open_ = 0;  // calls
  std::vector<progress> programs_;
  std::vector<call_outcome> outcomes_;
  std::vector<double> last_token_s_;  // of each outcome
  std::unordered_map<request_id, place> places_;
  std::uint64_t hash_ = 0;
};

}  // namespace troupe::simulator
