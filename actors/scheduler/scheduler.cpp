#include "actors/scheduler/scheduler.hpp"

#include "actors/scheduler/request_books.hpp"
#include "actors/scheduler/rescheduling.hpp"
#include "policies/batching.hpp"
#include "policies/catalogue.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

void publish(scheduler_pointer self) {
  auto& state = self->state;
  scheduler_report report;
  report.workers = static_cast<std::uint32_t>(state.workers.size());
  report.requests_queued = static_cast<std::uint32_t>(state.queue.size());
  report.requests_assigned = static_cast<std::uint32_t>(state.requests.size() - state.queue.size());
  for (const auto& [id, worker] : state.workers) {
    auto& total = report.total;
    total.sequences += worker.report().sequences;
    total.sequences_running += worker.report().sequences_running;
    total.max_sequences += worker.report().max_sequences;
    total.blocks_total += worker.report().blocks_total;
    total.blocks_used += worker.report().blocks_used;
    total.blocks_cached += worker.report().blocks_cached;
    total.tokens_to_compute += worker.report().tokens_to_compute;
    total.prefix_tokens_queried += worker.report().prefix_tokens_queried;
    total.prefix_tokens_hit += worker.report().prefix_tokens_hit;
    total.guesses_tried += worker.report().guesses_tried;
    total.guesses_right += worker.report().guesses_right;
    const auto& moved = worker.report().relocations;
    total.relocations.moved += moved.moved;
    total.relocations.refused += moved.refused;
    total.relocations.failed += moved.failed;
    total.relocations.pause_us += moved.pause_us;
  }
  for (const auto& subscriber : state.subscribers)
    self->send(subscriber, report);
}

void take_report(scheduler_pointer self, const load_report& report) {
  auto& state = self->state;
  const auto found = state.workers.find(report.worker);
  if (found == state.workers.end()) return;
  auto& worker = found->second;
  worker.take_report(report, state.config.worker_backlog);
  if (worker.is_draining()) move_away(self, report.worker);
  dispatch(self);
  reschedule(self);
  publish(self);
}

void lose_worker(scheduler_pointer self, worker_id worker) {
  auto& state = self->state;
  state.workers.erase(worker);
  state.prefixes.forget(worker);
  log(log_level::warning, "scheduler", "worker " + std::to_string(worker.value) + " is gone");
  for (auto it = state.requests.begin(); it != state.requests.end();) {
    auto& entry = it->second;
    if (entry.decodes_at == worker) entry.decodes_at.reset();
    const bool is_lost = entry.state != request_state::queued && entry.worker == worker;
    it = is_lost ? lose_request(self, it) : std::next(it);
  }
  publish(self);
}

/// The request, if a worker has it and a later owner of the same incarnation is `of`.
request_entry* find_older(scheduler_state& state, request_id request, epoch of) {
  const auto found = state.requests.find(request);
  const bool older = found != state.requests.end() && found->second.state != request_state::queued &&
                     incarnation(found->second.epoch) == incarnation(of) && found->second.epoch < of;
  return older ? &found->second : nullptr;
}

/// Of two workers that both say they have a request, the one with the higher epoch has it; the other one stops.
void take_over(scheduler_pointer self, const request_taken& taken) {
  auto& state = self->state;
  const auto worker = state.workers.find(taken.worker);
  if (worker == state.workers.end()) return;
  request_entry* const entry = find_older(state, taken.request, taken.epoch);
  if (entry == nullptr) {
    const auto known = state.requests.find(taken.request);
    const bool known_already = known != state.requests.end() && known->second.epoch == taken.epoch;
    if (!known_already) self->send(worker->second.handle(), cancel_request{taken.request, taken.epoch});
    return;
  }
  if (const auto before = state.workers.find(entry->worker);
      before != state.workers.end() && entry->worker != taken.worker) {
    before->second.remove(entry->is_urgent(), entry->work_s);
    worker->second.add(entry->is_urgent(), entry->work_s);
    self->send(before->second.handle(), cancel_request{taken.request, entry->epoch});
  }
  stop_expecting(state, *entry);
  entry->worker = taken.worker;
  entry->epoch = taken.epoch;
  if (entry->state == request_state::cancelling) self->send(worker->second.handle(), cancel_request{taken.request, {}});
  dispatch(self);
}

/// The old owner says who has a request now. Should the new one be gone, nobody has it.
void take_given(scheduler_pointer self, const request_given& given, const caf::actor& new_owner) {
  auto& state = self->state;
  request_entry* const entry = find_older(state, given.request, given.epoch);
  if (entry == nullptr) return;
  const auto worker = std::find_if(state.workers.begin(), state.workers.end(),
                                   [&](const auto& other) { return other.second.handle() == new_owner; });
  if (worker != state.workers.end()) return take_over(self, {given.request, given.epoch, worker->first});
  take_from_worker(state, *entry);
  lose_request(self, state.requests.find(given.request));
}

command_done migrate(scheduler_pointer self, request_id request, worker_id to) {
  auto& state = self->state;
  const auto found = state.requests.find(request);
  const auto target = state.workers.find(to);
  if (found == state.requests.end() || found->second.state != request_state::assigned)
    return {false, "Request " + std::to_string(request.value) + " runs on no worker."};
  if (target == state.workers.end()) return {false, "There is no worker " + std::to_string(to.value) + "."};
  if (found->second.worker == to) return {false, "Request " + std::to_string(request.value) + " is there already."};
  if (!target->second.can(worker_role::decode))
    return {false, "Worker " + std::to_string(to.value) + " does not decode."};
  self->send(state.workers.at(found->second.worker).handle(), relocate_request{request}, target->second.handle());
  return {true,
          "Request " + std::to_string(request.value) + " is being moved to worker " + std::to_string(to.value) + "."};
}

void drain(scheduler_pointer self, worker_id draining) {
  auto& state = self->state;
  state.drained.insert(draining);
  const auto worker = state.workers.find(draining);
  if (worker == state.workers.end()) return;
  worker->second.drain();
  move_away(self, draining);
}

requests_status list_requests(const scheduler_state& state) {
  requests_status all;
  for (const auto& [id, entry] : state.requests)
    all.requests.push_back(
        {id, entry.epoch, entry.priority, entry.prompt_tokens, entry.state == request_state::queued, entry.worker});
  return all;
}

void take_down(scheduler_pointer self, const caf::down_msg& down) {
  const auto& workers = self->state.workers;
  const auto lost = std::find_if(workers.begin(), workers.end(),
                                 [&](const auto& worker) { return worker.second.handle() == down.source; });
  if (lost != workers.end()) lose_worker(self, lost->first);
}

void welcome(scheduler_pointer self, const worker_started& started, const caf::actor& handle) {
  // A worker that comes back from another node may be here before the word that its predecessor is gone.
  if (self->state.workers.contains(started.worker)) lose_worker(self, started.worker);
  self->monitor(handle);
  auto& state = self->state;
  const bool asked_for = !state.config.may_stop || state.config.may_stop(started.worker);
  if (asked_for) state.starting -= std::min(1u, state.starting);
  const bool drains = state.drained.contains(started.worker) || state.retiring.contains(started.worker);
  state.workers.emplace(started.worker, worker_books(started.worker, handle, started.roles, drains));
  if (!state.local_order.empty()) self->send(handle, set_local_order{state.local_order});
  publish(self);
}

workers_status describe(const scheduler_state& state) {
  workers_status status;
  status.requests_queued = static_cast<std::uint32_t>(state.queue.size());
  for (const auto& [id, worker] : state.workers) {
    status.workers.push_back(worker.report());
    status.workers.back().worker = id;
  }
  return status;
}

std::string local_order(const scheduler_state& state) {
  return state.local_order.empty() ? state.config.local_order : state.local_order;
}

/// Takes effect with each worker's next report.
void suit_backlog(scheduler_state& state) {
  if (!state.config.backlog_as_suits || !state.config.dispatch) return;
  state.config.worker_backlog = policies::suitable_backlog(local_order(state), state.config.dispatch->name());
}

command_done set_local_orders(scheduler_pointer self, const std::string& name) {
  if (auto policy = policies::make_batching_policy(name); !policy) return {false, policy.error().message};
  self->state.local_order = name;
  suit_backlog(self->state);
  for (const auto& [id, worker] : self->state.workers)
    self->send(worker.handle(), set_local_order{name});
  return {true, "Every worker's local order is " + name + " now."};
}

command_done change_policy(scheduler_pointer self, const set_policy& wish) {
  auto& config = self->state.config;
  if (wish.kind == "scheduler") return set_local_orders(self, wish.name);
  if (wish.kind == "dispatch") {
    auto policy = policies::make_dispatch_policy(wish.name, config.dispatching);
    if (!policy) return {false, policy.error().message};
    config.dispatch = *std::move(policy);
    suit_backlog(self->state);
    dispatch(self);
    return {true, "Requests are dispatched by " + wish.name + " now."};
  }
  if (wish.kind != "rescheduling")
    return {false, "No policy of the kind '" + wish.kind +
                       "' can be set while a cluster runs; there are: dispatch, scheduler, rescheduling."};
  if (wish.name != "llumnix" && wish.name != "none")
    return {false, "unknown rescheduling policy '" + wish.name + "'; there are: llumnix, none."};
  config.rescheduling =
      wish.name == "none" ? std::nullopt : std::optional(config.rescheduling.value_or(config.rescheduling_later));
  return {true, "Rescheduling is " + wish.name + " now."};
}

policies_status list_policies(const scheduler_state& state) {
  return {std::string(state.config.dispatch->name()), local_order(state),
          state.config.rescheduling ? "llumnix" : "none"};
}

}  // namespace

caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self, scheduler_config config) {
  auto& state = self->state;
  state.config = std::move(config);
  for (const auto& [tenant, weight] : state.config.tenant_weights)
    state.shares.set_weight(tenant, weight);
  suit_backlog(state);
  if (state.config.scaling)
    self->delayed_send(self, state.config.scale_after + state.config.scale_every, look_around{});
  self->set_down_handler([self](const caf::down_msg& down) { take_down(self, down); });
  return {
      [=](submit_request& submitted) { submit(self, submitted, caf::actor_cast<caf::actor>(self->current_sender())); },
      [=](const cancel_request& message) { cancel(self, message.request); },
      [=](const deadline_passed& message) { expire(self, message); },
      [=](const request_ended& message) { end(self, message); },
      [=](const load_report& message) { take_report(self, message); },
      [=](const worker_started& message, const caf::actor& handle) { welcome(self, message, handle); },
      [=](const drain_worker& message) { drain(self, message.worker); },
      [=](const request_taken& message) { take_over(self, message); },
      [=](const request_given& message, const caf::actor& new_owner) { take_given(self, message, new_owner); },
      [=](const migrate_request& message) { return migrate(self, message.request, message.worker); },
      [=](const set_policy& wish) { return change_policy(self, wish); },
      [=](ask_policies) { return list_policies(self->state); },
      [=](look_around) { scale(self); },
      [=](ask_requests) { return list_requests(self->state); },
      [=](ask_workers) { return describe(self->state); },
      [=](subscribe_reports) {
        self->state.subscribers.push_back(caf::actor_cast<caf::actor>(self->current_sender()));
        publish(self);
      },
  };
}

}  // namespace troupe
