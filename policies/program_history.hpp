// What calls of a program have in front of them: learnt from programs of the same workflow that ended before, to share
// a program's objective among its calls.
//
//   budget of a call = (objective - spent) T(step) / (T(step) + R(step))
//
// T: the mean predicted service time of calls of the step, R: the mean of what follows such a call in its program,
// along the longest of parallel calls. JITServe's sub-deadline D_s = (t_<=s / t_total) D and HexGen-Text2SQL's stage
// budget are this same share. Nobody says when a program ends: it is over when no call came for `idle_after`. Bounded:
// programs, calls of each and steps; what was used least lately goes, a program without a call under way before
// one with. O(log programs) a call. Pure state.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace troupe::policies {

struct program_history_settings {
  std::size_t max_programs = 10'000;
  std::size_t max_calls = 256;  // of a program that are remembered
  std::size_t max_steps = 10'000;
  duration idle_after = std::chrono::seconds(60);
};

class program_history {
 public:
  explicit program_history(program_history_settings settings = {}) : settings_(settings) {}
  program_history(program_history&&) = default;
  program_history& operator=(program_history&&) = default;

  /// A call comes. `estimate_s`: its predicted service time. What it may take, s, of an objective for the whole program
  /// that is counted from the program's first call; 0 objective: 0. May be negative: the program is late, and how late
  /// is what orders it.
  double begin_call(const std::string& program, const std::string& workflow, const std::string& step, double estimate_s,
                    double objective_s, time_point now);
  void end_call(const std::string& program, time_point now);

  /// When the program's first call came; `now` for an unknown one.
  time_point begun(const std::string& program, time_point now) const;

  struct outlook {
    double own_s = 0;    // T
    double after_s = 0;  // R
    std::uint64_t n = 0;
  };
  /// Of calls of this step as learnt so far.
  outlook look_ahead(const std::string& workflow, const std::string& step) const;
  std::size_t programs() const { return programs_.size(); }

 private:
  struct call {
    std::string step;
    double estimate_s;
    std::uint32_t stage;  // calls that are under way at the same time share one
  };
  struct program {
    std::string workflow;
    time_point begun;
    time_point last_seen;
    std::uint32_t under_way = 0;
    std::uint32_t stages = 0;
    std::vector<call> calls;
    std::list<std::string>::iterator place{};  // in `resting_` or, with a call under way, in `busy_`
  };
  using program_place = std::map<std::string, program>::iterator;
  using step_key = std::pair<std::string, std::string>;

  struct learnt_step {
    outlook known;
    std::list<step_key>::iterator place{};  // in steps_by_use_
  };

  void learn(const program& ended);
  outlook& find_step(const step_key& key);
  bool is_over(const program& of, time_point now) const;
  void retire(program_place over);
  void retire_idle(time_point now);
  void make_room();

  program_history_settings settings_;
  std::map<std::string, program> programs_;
  std::list<std::string> resting_, busy_;  // programs without and with calls under way; the least lately used first
  std::map<step_key, learnt_step> steps_;
  std::list<step_key> steps_by_use_;  // the least lately learnt first
};

}  // namespace troupe::policies
