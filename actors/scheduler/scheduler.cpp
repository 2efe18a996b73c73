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

// Hands out the queue's front for as long as some worker has room.
void dispatch(scheduler_pointer self) {
  auto& state = self->state;
  while (!state.queue.empty()) {
    std::vector<policies::dispatch_worker> loads;
    for (const auto& [id, worker] : state.workers)
      if (worker.reported && !worker.draining) loads.push_back(worker.load);
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
    if (!failpoint("request.assign")) self->send(worker.handle, std::move(message), entry.gateway);
  }
}

void submit(scheduler_pointer self, submit_request& submitted, const caf::actor& gateway) {
  auto& state = self->state;
  const request_id id = submitted.request.id;
  if (const auto known = state.requests.find(id); known != state.requests.end()) {
    apply(state, id, known->second, request_event::submit);
    return;
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
      self->send(worker->second.handle, cancel_request{id});
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
  if (found == state.requests.end() || found->second.epoch != passed.epoch) return;
  auto& entry = found->second;
  const bool was_queued = entry.state == request_state::queued;
  if (!apply(state, passed.request, entry, request_event::deadline)) return;
  self->send(entry.gateway,
             refusal(passed.request, entry.epoch,
                     make_error(errc::deadline_exceeded, "The request's deadline passed before it was done.")));
  if (was_queued) {
    state.requests.erase(found);
  } else if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end()) {
    self->send(worker->second.handle, cancel_request{passed.request});
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
  dispatch(self);
  publish(self);
}

void lose_worker(scheduler_pointer self, worker_id worker) {
  auto& state = self->state;
  state.workers.erase(worker);
  log(log_level::warning, "scheduler", "worker " + std::to_string(worker.value) + " is gone");
  for (auto it = state.requests.begin(); it != state.requests.end();) {
    auto& [id, entry] = *it;
    if (entry.state == request_state::queued || entry.worker != worker) {
      ++it;
      continue;
    }
    const bool somebody_waits = entry.state == request_state::assigned;
    apply(state, id, entry, request_event::worker_down);
    if (somebody_waits) self->send(entry.gateway, request_lost{id, entry.epoch});
    it = state.requests.erase(it);
  }
  publish(self);
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
      [=](const drain_worker& message) {
        const auto found = self->state.workers.find(message.worker);
        if (found != self->state.workers.end()) found->second.draining = true;
      },
      [=](ask_workers) { return describe(self->state); },
      [=](subscribe_reports) {
        self->state.subscribers.push_back(caf::actor_cast<caf::actor>(self->current_sender()));
        publish(self);
      },
  };
}

}  // namespace troupe
