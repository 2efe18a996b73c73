#include "policies/program_history.hpp"

#include <algorithm>
#include <utility>

namespace troupe::policies {
namespace {

// The newest counts as much as the hundred before it at least, so that a workflow may change.
constexpr std::uint64_t longest_memory = 100;

void average_in(double& mean, double value, std::uint64_t n) {
  mean += (value - mean) / static_cast<double>(std::min(n, longest_memory));
}

}  // namespace

double program_history::begin_call(const std::string& name, const std::string& workflow, const std::string& step,
                                   double estimate_s, double objective_s, time_point now) {
  retire_idle(now);
  auto found = programs_.find(name);
  if (found != programs_.end() && is_over(found->second, now)) {
    retire(found);
    found = programs_.end();
  }
  if (found == programs_.end()) {
    make_room();
    found = programs_.try_emplace(name).first;
    found->second.workflow = workflow;
    found->second.begun = now;
    found->second.place = resting_.insert(resting_.end(), name);
  }
  program& of = found->second;
  const bool is_remembered = of.calls.size() < settings_.max_calls;
  if (of.under_way == 0 && is_remembered) ++of.stages;
  if (is_remembered) of.calls.push_back({step, estimate_s, of.stages});
  of.last_seen = now;
  ++of.under_way;
  busy_.splice(busy_.end(), of.under_way == 1 ? resting_ : busy_, of.place);
  if (objective_s <= 0) return 0;
  const double spent_s = std::chrono::duration<double>(now - of.begun).count();
  const outlook ahead = look_ahead(of.workflow, step);
  const double own_s = ahead.n > 0 ? ahead.own_s : estimate_s;
  const double share = own_s + ahead.after_s > 0 ? own_s / (own_s + ahead.after_s) : 1.0;
  return (objective_s - spent_s) * share;
}

void program_history::end_call(const std::string& name, time_point now) {
  const auto found = programs_.find(name);
  if (found == programs_.end() || found->second.under_way == 0) return;
  program& of = found->second;
  of.last_seen = now;
  if (--of.under_way == 0) resting_.splice(resting_.end(), busy_, of.place);
}

time_point program_history::begun(const std::string& name, time_point now) const {
  const auto found = programs_.find(name);
  return found == programs_.end() ? now : found->second.begun;
}

program_history::outlook program_history::look_ahead(const std::string& workflow, const std::string& step) const {
  const auto found = steps_.find({workflow, step});
  return found == steps_.end() ? outlook{} : found->second.known;
}

void program_history::learn(const program& ended) {
  // The longest call of each stage, and what follows each stage.
  std::vector<double> stage_s(ended.stages + 1, 0.0);
  for (const auto& each : ended.calls)
    stage_s[each.stage] = std::max(stage_s[each.stage], each.estimate_s);
  std::vector<double> after_s(ended.stages + 1, 0.0);
  for (std::size_t stage = ended.stages; stage-- > 0;)
    after_s[stage] = after_s[stage + 1] + stage_s[stage + 1];
  for (const auto& each : ended.calls) {
    outlook& known = find_step({ended.workflow, each.step});
    ++known.n;
    average_in(known.own_s, each.estimate_s, known.n);
    average_in(known.after_s, after_s[each.stage], known.n);
  }
}

/// To be learnt about; the one that was not for longest makes room for a new one.
program_history::outlook& program_history::find_step(const step_key& key) {
  const auto found = steps_.find(key);
  if (found != steps_.end()) {
    steps_by_use_.splice(steps_by_use_.end(), steps_by_use_, found->second.place);
    return found->second.known;
  }
  while (!steps_.empty() && steps_.size() >= settings_.max_steps) {
    steps_.erase(steps_by_use_.front());
    steps_by_use_.pop_front();
  }
  learnt_step& made = steps_[key];
  made.place = steps_by_use_.insert(steps_by_use_.end(), key);
  return made.known;
}

bool program_history::is_over(const program& of, time_point now) const {
  return of.under_way == 0 && now - of.last_seen > settings_.idle_after;
}

void program_history::retire(program_place over) {
  learn(over->second);
  (over->second.under_way > 0 ? busy_ : resting_).erase(over->second.place);
  programs_.erase(over);
}

/// Two with each call keep pace with the programs that come.
void program_history::retire_idle(time_point now) {
  for (int n = 0; n < 2 && !resting_.empty(); ++n) {
    const auto oldest = programs_.find(resting_.front());
    if (!is_over(oldest->second, now)) return;
    retire(oldest);
  }
}

void program_history::make_room() {
  while (!programs_.empty() && programs_.size() >= settings_.max_programs)
    retire(programs_.find(resting_.empty() ? busy_.front() : resting_.front()));
}

}  // namespace troupe::policies
