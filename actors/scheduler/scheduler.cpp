#include "actors/scheduler/scheduler.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"
#include "runtime/observe/metrics.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

using scheduler_pointer = caf::stateful_actor<scheduler_state>*;
using request_entry = scheduler_state::request_entry;

request_ended refusal(request_id request, epoch of, error why) {
  request_ended end;
  end.request = request;
  end.epoch = of;
  end.reason = finish_reason::failed;
  end.failure = why.code;
  end.message = std::move(why.message);
  end.param = std::move(why.param);
  return end;
}

scheduler_state::queue_key key_of(request_id id, const request_entry& entry) {
  return {entry.priority, entry.arrival, id};
}

// Applies an event to a request; false (and counted) when the protocol gives it no meaning. Removal from the queue is
// part of leaving the queued state, forgetting the entry is the caller's.
bool apply(scheduler_state& state, request_id id, request_entry& entry, request_event event) {
  const auto transition = next(entry.state, event);
  if (!transition.accepted) {
    ++state.rejected_events;
    return false;
  }
  if (entry.state == request_state::queued) state.queue.erase(key_of(id, entry));
  if (transition.becomes) entry.state = *transition.becomes;
  return true;
}

void publish(scheduler_pointer self) {
  auto& state = self->state;
  scheduler_report report;
  report.workers = static_cast<std::uint32_t>(state.workers.size());
  report.requests_queued = static_cast<std::uint32_t>(state.queue.size());
  report.requests_assigned = static_cast<std::uint32_t>(state.requests.size() - state.queue.size());
  for (const auto& [id, worker] : state.workers) {
    auto& total = report.total;
    total.sequences += worker.report.sequences;
    total.sequences_running += worker.report.sequences_running;
    total.max_sequences += worker.report.max_sequences;
    total.blocks_total += worker.report.blocks_total;
    total.blocks_used += worker.report.blocks_used;
    total.blocks_cached += worker.report.blocks_cached;
    total.tokens_to_compute += worker.report.tokens_to_compute;
    total.prefix_tokens_queried += worker.report.prefix_tokens_queried;
    total.prefix_tokens_hit += worker.report.prefix_tokens_hit;
    total.guesses_tried += worker.report.guesses_tried;
    total.guesses_right += worker.report.guesses_right;
    const auto& moved = worker.report.relocations;
    total.relocations.moved += moved.moved;
    total.relocations.refused += moved.refused;
    total.relocations.failed += moved.failed;
    total.relocations.pause_us += moved.pause_us;
  }
  for (const auto& subscriber : state.subscribers)
    self->send(subscriber, report);
}

// Requests that no engine computes yet: in the queue, and with workers beyond what their engines run at once.
std::size_t count_waiting(const scheduler_state& state) {
  std::size_t waiting = state.queue.size();
  for (const auto& [id, worker] : state.workers)
    waiting += worker.load.requests - std::min(worker.load.requests, worker.report.max_sequences);
  return waiting;
}

/// Who can take a request in a role: the workers that are for it or, when there is none, all: rather slowly than not.
std::vector<policies::dispatch_worker> able_workers(const scheduler_state& state, std::uint8_t role) {
  std::vector<policies::dispatch_worker> able;
  for (const std::uint8_t wanted : {role, worker_role::both}) {
    for (const auto& [id, worker] : state.workers)
      if (worker.reported && !worker.draining && (worker.roles & wanted) != 0) able.push_back(worker.load);
    if (!able.empty()) break;
  }
  return able;
}

/// Where the decoding of a request goes that this worker prefills; nullopt when the worker decodes it itself, because
/// it may or because nobody else can.
std::optional<worker_id> find_decode_worker(const scheduler_state& state, worker_id prefills) {
  if ((state.workers.at(prefills).roles & worker_role::decode) != 0) return std::nullopt;
  const auto chosen = state.config.dispatch->choose({}, able_workers(state, worker_role::decode), state.turn);
  const bool decodes = chosen && (state.workers.at(*chosen).roles & worker_role::decode) != 0;
  return decodes ? chosen : std::nullopt;
}

// Hands out the queue's front for as long as some worker has room.
void dispatch(scheduler_pointer self) {
  auto& state = self->state;
  while (!state.queue.empty()) {
    const auto loads = able_workers(state, worker_role::prefill);
    const request_id id = state.queue.begin()->id;
    auto& entry = state.requests.at(id);
    const auto chosen = state.config.dispatch->choose({entry.prompt_tokens}, loads, state.turn);
    if (!chosen) return;
    ++state.turn;
    apply(state, id, entry, request_event::assign);
    auto& worker = state.workers.at(*chosen);
    entry.worker = *chosen;
    ++worker.load.requests;
    worker.load.tokens_to_compute += entry.prompt_tokens;
    assign_request message{std::move(*entry.request), entry.epoch};
    entry.request.reset();
    if (state.config.metrics) state.config.metrics->observe_queue_time(self->clock().now() - entry.queued_since);
    if (failpoint("request.assign")) continue;
    if (const auto decode = find_decode_worker(state, *chosen))
      self->send(worker.handle, std::move(message), entry.gateway, state.workers.at(*decode).handle);
    else
      self->send(worker.handle, std::move(message), entry.gateway);
  }
}

/// The gateway begins a request anew: whoever still has the old one is told to stop, and nobody waits for it.
void abandon(scheduler_pointer self, std::map<request_id, request_entry>::iterator old) {
  auto& state = self->state;
  const auto& [id, entry] = *old;
  if (entry.state == request_state::queued) state.queue.erase(key_of(id, entry));
  if (const auto worker = state.workers.find(entry.worker);
      entry.state != request_state::queued && worker != state.workers.end()) {
    worker->second.load.requests -= std::min(1u, worker->second.load.requests);
    self->send(worker->second.handle, cancel_request{id, entry.epoch});
  }
  state.requests.erase(old);
}

void submit(scheduler_pointer self, submit_request& submitted, const caf::actor& gateway) {
  auto& state = self->state;
  const request_id id = submitted.request.id;
  if (const auto known = state.requests.find(id); known != state.requests.end()) {
    if (incarnation(known->second.epoch) >= incarnation(submitted.epoch)) {
      apply(state, id, known->second, request_event::submit);
      return;
    }
    abandon(self, known);
  }
  const auto refuse = [&](errc code, const char* why) {
    self->send(gateway, refusal(id, submitted.epoch, make_error(code, why)));
  };
  if (state.workers.empty()) return refuse(errc::unavailable, "No worker is able to serve now; try again later.");
  if (count_waiting(state) >= state.config.queue_capacity || failpoint("request.submit"))
    return refuse(errc::overloaded, "The request queue is full; try again later.");
  request_entry entry;
  entry.epoch = submitted.epoch;
  entry.gateway = gateway;
  entry.priority = submitted.request.objective.priority;
  entry.arrival = state.arrivals++;
  entry.queued_since = self->clock().now();
  entry.prompt_tokens = static_cast<std::uint32_t>(submitted.request.prompt.size() + submitted.request.resumed.size());
  const auto deadline = submitted.request.objective.deadline;
  entry.request = std::move(submitted.request);
  state.queue.insert(key_of(id, entry));
  state.requests.emplace(id, std::move(entry));
  if (deadline.count() > 0) self->delayed_send(self, deadline, deadline_passed{id, submitted.epoch});
  dispatch(self);
}

void cancel(scheduler_pointer self, request_id id) {
  auto& state = self->state;
  const auto found = state.requests.find(id);
  if (found == state.requests.end()) return;
  auto& entry = found->second;
  const bool was_queued = entry.state == request_state::queued;
  if (!apply(state, id, entry, request_event::cancel)) return;
  if (!was_queued) {
    if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end())
      self->send(worker->second.handle, cancel_request{id, {}});
    return;
  }
  request_ended end;
  end.request = id;
  end.epoch = entry.epoch;
  end.reason = finish_reason::cancelled;
  self->send(entry.gateway, end);
  state.requests.erase(found);
}

void expire(scheduler_pointer self, const deadline_passed& passed) {
  auto& state = self->state;
  const auto found = state.requests.find(passed.request);
  if (found == state.requests.end() || incarnation(found->second.epoch) != incarnation(passed.epoch)) return;
  auto& entry = found->second;
  const bool was_queued = entry.state == request_state::queued;
  if (!apply(state, passed.request, entry, request_event::deadline)) return;
  self->send(entry.gateway,
             refusal(passed.request, entry.epoch,
                     make_error(errc::deadline_exceeded, "The request's deadline passed before it was done.")));
  if (was_queued) {
    state.requests.erase(found);
  } else if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end()) {
    self->send(worker->second.handle, cancel_request{passed.request, {}});
  }
}

void end(scheduler_pointer self, const request_ended& ended) {
  auto& state = self->state;
  const auto found = state.requests.find(ended.request);
  if (found == state.requests.end() || found->second.epoch != ended.epoch) return;
  if (!apply(state, ended.request, found->second, request_event::ended)) return;
  if (const auto worker = state.workers.find(found->second.worker); worker != state.workers.end())
    worker->second.load.requests -= std::min(1u, worker->second.load.requests);
  state.requests.erase(found);
  dispatch(self);
}

/// A worker that drains gives its requests away, to whoever has the most room for each. Those that cannot be moved yet,
/// or were refused, are asked for again with a later report.
void move_away(scheduler_pointer self, worker_id draining) {
  auto& state = self->state;
  auto& worker = state.workers.at(draining);
  const auto now = self->clock().now();
  if (now < worker.moves_again) return;
  worker.moves_again = now + state.config.drain_every;
  std::vector<policies::dispatch_worker> others;
  for (const auto& [id, other] : state.workers)
    if (other.reported && !other.draining && (other.roles & worker_role::decode) != 0) others.push_back(other.load);
  for (const auto& [id, entry] : state.requests) {
    if (entry.state != request_state::assigned || entry.worker != draining) continue;
    const auto chosen = state.config.dispatch->choose({entry.prompt_tokens}, others, state.turn++);
    if (!chosen) return;
    std::ranges::find(others, *chosen, &policies::dispatch_worker::id)->requests += 1;
    self->send(worker.handle, relocate_request{id}, state.workers.at(*chosen).handle);
  }
}

void take_report(scheduler_pointer self, const load_report& report) {
  auto& state = self->state;
  const auto found = state.workers.find(report.worker);
  if (found == state.workers.end()) return;
  auto& worker = found->second;
  worker.report = report;
  worker.reported = true;
  worker.load.max_requests = report.max_sequences + state.config.worker_backlog;
  worker.load.blocks_used = report.blocks_used;
  worker.load.blocks_total = report.blocks_total;
  worker.load.tokens_to_compute = report.tokens_to_compute;
  if (worker.draining) move_away(self, report.worker);
  dispatch(self);
  publish(self);
}

using request_place = std::map<request_id, request_entry>::iterator;

/// Whoever had it is gone. What follows it.
request_place lose_request(scheduler_pointer self, request_place lost) {
  auto& [id, entry] = *lost;
  const bool somebody_waits = entry.state == request_state::assigned;
  apply(self->state, id, entry, request_event::worker_down);
  if (somebody_waits) self->send(entry.gateway, request_lost{id, entry.epoch});
  return self->state.requests.erase(lost);
}

void lose_worker(scheduler_pointer self, worker_id worker) {
  auto& state = self->state;
  state.workers.erase(worker);
  log(log_level::warning, "scheduler", "worker " + std::to_string(worker.value) + " is gone");
  for (auto it = state.requests.begin(); it != state.requests.end();) {
    const auto& entry = it->second;
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
    if (!known_already) self->send(worker->second.handle, cancel_request{taken.request, taken.epoch});
    return;
  }
  if (const auto before = state.workers.find(entry->worker);
      before != state.workers.end() && entry->worker != taken.worker) {
    before->second.load.requests -= std::min(1u, before->second.load.requests);
    ++worker->second.load.requests;
    self->send(before->second.handle, cancel_request{taken.request, entry->epoch});
  }
  entry->worker = taken.worker;
  entry->epoch = taken.epoch;
  if (entry->state == request_state::cancelling) self->send(worker->second.handle, cancel_request{taken.request, {}});
  dispatch(self);
}

/// The old owner says who has a request now. Should the new one be gone, nobody has it.
void take_given(scheduler_pointer self, const request_given& given, const caf::actor& new_owner) {
  auto& state = self->state;
  request_entry* const entry = find_older(state, given.request, given.epoch);
  if (entry == nullptr) return;
  const auto worker = std::find_if(state.workers.begin(), state.workers.end(),
                                   [&](const auto& other) { return other.second.handle == new_owner; });
  if (worker != state.workers.end()) return take_over(self, {given.request, given.epoch, worker->first});
  if (const auto before = state.workers.find(entry->worker); before != state.workers.end())
    before->second.load.requests -= std::min(1u, before->second.load.requests);
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
  if ((target->second.roles & worker_role::decode) == 0)
    return {false, "Worker " + std::to_string(to.value) + " does not decode."};
  self->send(state.workers.at(found->second.worker).handle, relocate_request{request}, target->second.handle);
  return {true,
          "Request " + std::to_string(request.value) + " is being moved to worker " + std::to_string(to.value) + "."};
}

void drain(scheduler_pointer self, worker_id draining) {
  auto& state = self->state;
  state.drained.insert(draining);
  const auto worker = state.workers.find(draining);
  if (worker == state.workers.end()) return;
  worker->second.draining = true;
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
                                 [&](const auto& worker) { return worker.second.handle == down.source; });
  if (lost != workers.end()) lose_worker(self, lost->first);
}

void welcome(scheduler_pointer self, const worker_started& started, const caf::actor& handle) {
  // A worker that comes back from another node may be here before the word that its predecessor is gone.
  if (self->state.workers.contains(started.worker)) lose_worker(self, started.worker);
  self->monitor(handle);
  scheduler_state::worker_entry entry;
  entry.handle = handle;
  entry.load.id = started.worker;
  entry.roles = started.roles;
  entry.draining = self->state.drained.contains(started.worker);
  self->state.workers.emplace(started.worker, std::move(entry));
  publish(self);
}

workers_status describe(const scheduler_state& state) {
  workers_status status;
  status.requests_queued = static_cast<std::uint32_t>(state.queue.size());
  for (const auto& [id, worker] : state.workers) {
    status.workers.push_back(worker.report);
    status.workers.back().worker = id;
  }
  return status;
}

}  // namespace

caf::behavior scheduler_actor(caf::stateful_actor<scheduler_state>* self, scheduler_config config) {
  self->state.config = std::move(config);
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
      [=](ask_requests) { return list_requests(self->state); },
      [=](ask_workers) { return describe(self->state); },
      [=](subscribe_reports) {
        self->state.subscribers.push_back(caf::actor_cast<caf::actor>(self->current_sender()));
        publish(self);
      },
  };
}

}  // namespace troupe
