#include "actors/scheduler/rescheduling.hpp"

#include "runtime/observe/log.hpp"

#include <algorithm>
#include <string>

namespace troupe {
namespace {

std::vector<policies::dispatch_worker> decoding_workers(const scheduler_state& state) {
  std::vector<policies::dispatch_worker> all;
  for (const auto& [id, worker] : state.workers)
    if (worker.has_reported() && worker.can(worker_role::decode)) all.push_back(worker.load());
  return all;
}

std::uint32_t headroom(const scheduler_state& state) {
  return state.config.rescheduling ? state.config.rescheduling->headroom : 0;
}

/// Workers that were drained to be stopped and are empty.
void stop_retired(scheduler_state& state) {
  for (auto it = state.retiring.begin(); it != state.retiring.end();) {
    const auto worker = state.workers.find(*it);
    const bool gone = worker == state.workers.end();
    if (!gone && worker->second.load().requests > 0) {
      ++it;
      continue;
    }
    if (!gone && state.config.stop_worker) state.config.stop_worker(*it);
    it = state.retiring.erase(it);
  }
}

}  // namespace

void move_away(scheduler_pointer self, worker_id draining) {
  auto& state = self->state;
  auto& worker = state.workers.at(draining);
  const auto now = self->clock().now();
  if (now < worker.moves_again) return;
  worker.moves_again = now + state.config.drain_every;
  auto others = decoding_workers(state);
  std::erase_if(others, [](const auto& other) { return other.draining; });
  for (const auto& [id, entry] : state.requests) {
    if (entry.state != request_state::assigned || entry.worker != draining) continue;
    const auto chosen = state.config.dispatch->choose(
        {entry.prompt_tokens, static_cast<std::uint32_t>(entry.predicted_tokens), entry.priority}, others,
        state.turn++);
    if (!chosen) return;
    // The next one sees that this one is on its way.
    auto& taker = *std::ranges::find(others, *chosen, &policies::dispatch_worker::id);
    ++taker.requests;
    ++taker.requests_coming;
    taker.blocks_coming += worker_books::blocks_of(entry.prompt_tokens);
    taker.work_s += entry.work_s;
    taker.work_ever_s += entry.work_s;
    self->send(worker.handle(), relocate_request{id}, state.workers.at(*chosen).handle());
  }
}

void reschedule(scheduler_pointer self) {
  auto& state = self->state;
  if (!state.config.rescheduling) return;
  const auto now = self->clock().now();
  if (now < state.reschedules_again) return;
  state.reschedules_again = now + state.config.reschedule_every;
  for (const auto& [from, to] : policies::pair_migrations(decoding_workers(state), *state.config.rescheduling))
    self->send(state.workers.at(from).handle(), relocate_some{}, state.workers.at(to).handle());
}

void scale(scheduler_pointer self) {
  auto& state = self->state;
  if (!state.config.scaling) return;
  self->delayed_send(self, state.config.scale_every, look_around{});
  stop_retired(state);
  const auto now = self->clock().now();
  if (state.starting > 0 && now >= state.starts_until) {
    log(log_level::warning, "scheduler", "a worker that was asked for does not come", {{"workers", state.starting}});
    state.starting = 0;
  }
  auto loads = decoding_workers(state);
  for (auto& load : loads)
    load.pinned = state.config.may_stop && !state.config.may_stop(load.id);
  const auto silent = std::ranges::count_if(state.workers, [](const auto& worker) {
    return !worker.second.has_reported() && worker.second.can(worker_role::decode);
  });
  const auto starting = state.starting + static_cast<std::uint32_t>(silent);
  const auto decision = policies::plan_scaling(loads, starting, *state.config.scaling, headroom(state));
  if (decision.step == policies::scaling_step::up && state.config.start_worker) {
    ++state.starting;
    state.starts_until = now + state.config.start_limit;
    log(log_level::info, "scheduler", "one more worker is asked for", {{"workers", loads.size()}});
    state.config.start_worker();
  } else if (decision.step == policies::scaling_step::down) {
    log(log_level::info, "scheduler", "a worker is drained to be stopped",
        {{"worker", decision.drain.value}, {"workers", loads.size()}});
    state.retiring.insert(decision.drain);
    state.workers.at(decision.drain).drain();
    move_away(self, decision.drain);
  }
}

}  // namespace troupe
