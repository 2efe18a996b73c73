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
  retire(now);
  auto [found, is_new] = programs_.try_emplace(name);
  program& of = found->second;
  if (is_new) {
    of.workflow = workflow;
    of.begun = now;
    to_look_at_.push_back(name);
  }
  of.last_seen = now;
  if (of.under_way == 0) ++of.stages;
  ++of.under_way;
  if (of.calls.size() < settings_.max_calls) of.calls.push_back({step, estimate_s, of.stages});
  if (objective_s <= 0) return 0;
  const double spent_s = std::chrono::duration<double>(now - of.begun).count();
  const outlook ahead = look_ahead(of.workflow, step);
  const double own_s = ahead.n > 0 ? ahead.own_s : estimate_s;
  const double share = own_s + ahead.after_s > 0 ? own_s / (own_s + ahead.after_s) : 1.0;
  return (objective_s - spent_s) * share;
}

void program_history::end_call(const std::string& name, time_point now) {
  const auto found = programs_.find(name);
  if (found == programs_.end()) return;
  found->second.last_seen = now;
  found->second.under_way -= std::min(1u, found->second.under_way);
}

time_point program_history::begun(const std::string& name, time_point now) const {
  const auto found = programs_.find(name);
  return found == programs_.end() ? now : found->second.begun;
}

program_history::outlook program_history::look_ahead(const std::string& workflow, const std::string& step) const {
  const auto found = steps_.find({workflow, step});
  return found == steps_.end() ? outlook{} : found->second;
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
    const step_key key{ended.workflow, each.step};
    if (!steps_.contains(key) && steps_.size() >= settings_.max_steps) continue;
    outlook& known = steps_[key];
    ++known.n;
    average_in(known.own_s, each.estimate_s, known.n);
    average_in(known.after_s, after_s[each.stage], known.n);
  }
}

/// Two looks with each call keep pace with the programs that come.
void program_history::retire(time_point now) {
  for (int look = 0; look < 2 && !to_look_at_.empty(); ++look) {
    const std::string name = std::move(to_look_at_.front());
    to_look_at_.pop_front();
    const auto found = programs_.find(name);
    const bool idle = found->second.under_way == 0 && now - found->second.last_seen > settings_.idle_after;
    if (!idle && programs_.size() < settings_.max_programs) {
      to_look_at_.push_back(name);
      continue;
    }
    learn(found->second);
    programs_.erase(found);
  }
}

}  // namespace troupe::policies
