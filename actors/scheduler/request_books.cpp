#include "actors/scheduler/request_books.hpp"

#include "actors/worker/request_facts.hpp"
#include "base/failpoint.hpp"
#include "policies/hexgen_text2sql.hpp"
#include "policies/step_pace.hpp"
#include "runtime/observe/metrics.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

using std::chrono::duration_cast;

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
  return {entry.priority, entry.tag, entry.arrival, id};
}

// Requests that no engine computes yet: in the queue, and with workers beyond what their engines run at once.
std::size_t count_waiting(const scheduler_state& state) {
  std::size_t waiting = state.queue.size();
  for (const auto& [id, worker] : state.workers)
    waiting += worker.load().requests - std::min(worker.load().requests, worker.report().max_sequences);
  return waiting;
}

/// Who can take a request in a role: the workers that are for it or, when there is none, all: rather slowly than not.
std::vector<policies::dispatch_worker> able_workers(const scheduler_state& state, std::uint8_t role) {
  std::vector<policies::dispatch_worker> able;
  for (const std::uint8_t wanted : {role, worker_role::both}) {
    for (const auto& [id, worker] : state.workers)
      if (worker.is_able() && worker.can(wanted)) able.push_back(worker.load());
    if (!able.empty()) break;
  }
  return able;
}

policies::dispatch_request describe(const request_entry& entry) {
  return {entry.prompt_tokens, static_cast<std::uint32_t>(entry.predicted_tokens), entry.priority};
}

/// Where the decoding of a request goes that this worker prefills; nullopt when the worker decodes it itself, because
/// it may or because nobody else can.
std::optional<worker_id> find_decode_worker(const scheduler_state& state, worker_id prefills,
                                            const request_entry& entry) {
  if (state.workers.at(prefills).can(worker_role::decode)) return std::nullopt;
  auto loads = able_workers(state, worker_role::decode);
  for (auto& load : loads)
    load = state.workers.at(load.id).load_expected();
  const auto chosen = state.config.dispatch->choose(describe(entry), loads, state.turn);
  const bool decodes = chosen && state.workers.at(*chosen).can(worker_role::decode);
  return decodes ? chosen : std::nullopt;
}

/// What of a prompt each worker has seen.
void find_prefixes(const scheduler_state& state, const std::vector<std::uint64_t>& chunks,
                   std::vector<policies::dispatch_worker>& workers) {
  for (auto& worker : workers)
    worker.cached_tokens = state.prefixes.cached_tokens(chunks, worker.id);
}

/// Its service time on the worker that is quickest with it, s; 0: no worker's pace is known.
double quickest_time(const scheduler_state& state, const policies::dispatch_request& request) {
  double quickest = 0;
  for (const auto& [id, worker] : state.workers)
    if (const double alone = policies::time_alone(request, worker.load()); alone > 0)
      quickest = quickest == 0 ? alone : std::min(quickest, alone);
  return quickest;
}

/// What a request is to a worker, s. Of an unknown pace something is assumed: work that counts for nothing would draw
/// everything to a worker that is new.
double work_on(const scheduler_state& state, const policies::dispatch_request& request,
               const policies::dispatch_worker& worker) {
  if (const double alone = policies::time_alone(request, worker); alone > 0) return alone;
  if (const double quickest = quickest_time(state, request); quickest > 0) return quickest;
  const policies::step_pace guess;
  policies::dispatch_worker guessed;
  guessed.token_s = std::chrono::duration<double>(guess.token_time()).count();
  guessed.step_s = std::chrono::duration<double>(guess.step_time()).count();
  return policies::time_alone(request, guessed);
}

/// A request leaves the queue for a worker.
void assign(scheduler_pointer self, request_id id, request_entry& entry, worker_id chosen) {
  auto& state = self->state;
  apply(state, id, entry, request_event::assign);
  state.shares.serve(entry.tag);
  auto& worker = state.workers.at(chosen);
  entry.worker = chosen;
  entry.work_s = work_on(state, describe(entry), worker.load());
  assign_request message{std::move(*entry.request), entry.epoch,
                         worker.give(entry.prompt_tokens, entry.is_urgent(), entry.work_s)};
  entry.request.reset();
  const auto now = self->clock().now();
  message.request.objective.elapsed = duration_cast<std::chrono::microseconds>(now - entry.arrived);
  if (state.config.metrics) state.config.metrics->observe_queue_time(now - entry.queued_since);
  if (failpoint("request.assign")) return;
  entry.decodes_at = find_decode_worker(state, chosen, entry);
  if (!entry.decodes_at) return self->send(worker.handle(), std::move(message), entry.gateway);
  auto& decode = state.workers.at(*entry.decodes_at);
  decode.expect(entry.prompt_tokens);
  self->send(worker.handle(), std::move(message), entry.gateway, decode.handle());
}

void end_call(scheduler_pointer self, const request_entry& entry) {
  if (!entry.program.empty()) self->state.programs.end_call(entry.program, self->clock().now());
}

/// The gateway begins a request anew: whoever still has the old one is told to stop, and nobody waits for it.
void abandon(scheduler_pointer self, request_place old) {
  auto& state = self->state;
  auto& [id, entry] = *old;
  if (entry.state == request_state::queued) {
    state.queue.erase(key_of(id, entry));
  } else if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end()) {
    take_from_worker(state, entry);
    self->send(worker->second.handle(), cancel_request{id, entry.epoch});
  }
  end_call(self, entry);
  state.requests.erase(old);
}

/// Tenants share no programs, whatever they call them, and learn nothing from each other's.
std::string of_tenant(const generation_request& request, const std::string& name) {
  return request.tenant + '\0' + name;
}

/// What a program's call may take of its program's time.
void share_objective(scheduler_pointer self, const generation_request& request, request_entry& entry,
                     service_objective& objective) {
  auto& programs = self->state.programs;
  const auto& call = request.call;
  entry.program = of_tenant(request, call.program);
  const double whole_s = std::chrono::duration<double>(objective.ttlt).count();
  const double budget_s = programs.begin_call(entry.program, of_tenant(request, call.workflow), call.step,
                                              quickest_time(self->state, describe(entry)), whole_s, entry.arrived);
  if (whole_s <= 0) return;
  // Negative when the program is late already, and how late orders the late ones. Zero would mean that there is none.
  objective.budget = duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(budget_s));
  if (objective.budget.count() == 0) objective.budget = std::chrono::milliseconds(-1);
  const auto spent = entry.arrived - programs.begun(entry.program, entry.arrived);
  objective.ttlt =
      std::max(objective.ttlt - duration_cast<std::chrono::milliseconds>(spent), std::chrono::milliseconds(1));
}

request_entry make_entry(scheduler_pointer self, submit_request& submitted, const caf::actor& gateway) {
  auto& state = self->state;
  auto& request = submitted.request;
  request_entry entry;
  entry.epoch = submitted.epoch;
  entry.gateway = gateway;
  entry.priority = request.objective.priority;
  entry.arrival = state.arrivals++;
  entry.queued_since = self->clock().now();
  entry.arrived = entry.queued_since - request.objective.elapsed;
  entry.prompt_tokens = static_cast<std::uint32_t>(request.prompt.size() + request.resumed.size());
  const auto n_drawn = static_cast<std::uint32_t>(request.resumed.size());
  entry.features = features_of(request);
  entry.predicted_tokens = state.config.lengths ? state.config.lengths->predict_left(entry.features, n_drawn, 0.5)
                                                : static_cast<double>(request.sampling.max_tokens) - n_drawn;
  entry.predicted_tokens = std::max(entry.predicted_tokens, 1.0);
  if (state.requests.empty()) state.shares.rest();
  entry.tag = state.shares.tag(request.tenant, entry.prompt_tokens + entry.predicted_tokens);
  if (!request.call.program.empty()) share_objective(self, request, entry, request.objective);
  entry.request = std::move(request);
  return entry;
}

/// Why a request is not taken; nullopt: it is.
std::optional<error> find_objection(const scheduler_state& state, const generation_request& request) {
  if (state.workers.empty()) return make_error(errc::unavailable, "No worker is able to serve now; try again later.");
  if (count_waiting(state) >= state.config.queue_capacity || failpoint("request.submit"))
    return make_error(errc::overloaded, "The request queue is full; try again later.");
  const auto deadline = request.objective.deadline;
  if (deadline.count() == 0) return std::nullopt;
  // A deadline that is enforced and that no worker could keep even if it had nothing else to do: to begin would be to
  // take time from those who can be served.
  const auto n = static_cast<std::uint32_t>(request.prompt.size() + request.resumed.size());
  const double shortest_s = quickest_time(state, {n, 1, 0});
  if (shortest_s > std::chrono::duration<double>(deadline).count())
    return make_error(errc::deadline_exceeded,
                      "The deadline of " + std::to_string(deadline.count()) +
                          " ms cannot be kept: the prompt alone takes " +
                          std::to_string(static_cast<std::uint64_t>(shortest_s * 1e3)) + " ms.",
                      "deadline_ms");
  return std::nullopt;
}

}  // namespace

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

void dispatch(scheduler_pointer self) {
  auto& state = self->state;
  const bool by_prefix = state.config.dispatch->wants_cached_tokens();
  while (!state.queue.empty()) {
    auto loads = able_workers(state, worker_role::prefill);
    // Before the front's prompt is looked at: it may be long, and reports are many while all are full.
    if (std::ranges::none_of(loads, policies::has_room)) return;
    const request_id id = state.queue.begin()->id;
    auto& entry = state.requests.at(id);
    std::vector<std::uint64_t> chunks;
    if (by_prefix) {
      chunks = policies::prefix_directory::hash_chunks(entry.request->prompt, entry.request->tenant);
      find_prefixes(state, chunks, loads);
    }
    const auto chosen = state.config.dispatch->choose(describe(entry), loads, state.turn);
    if (!chosen) return;
    ++state.turn;
    if (by_prefix) state.prefixes.remember(chunks, *chosen);
    assign(self, id, entry, *chosen);
  }
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
  if (auto objection = find_objection(state, submitted.request))
    return self->send(gateway, refusal(id, submitted.epoch, *std::move(objection)));
  auto entry = make_entry(self, submitted, gateway);
  const auto deadline = entry.request->objective.deadline;
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
      self->send(worker->second.handle(), cancel_request{id, {}});
    return;
  }
  request_ended end;
  end.request = id;
  end.epoch = entry.epoch;
  end.reason = finish_reason::cancelled;
  self->send(entry.gateway, end);
  end_call(self, entry);
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
    end_call(self, entry);
    state.requests.erase(found);
  } else if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end()) {
    self->send(worker->second.handle(), cancel_request{passed.request, {}});
  }
}

void end(scheduler_pointer self, const request_ended& ended) {
  auto& state = self->state;
  const auto found = state.requests.find(ended.request);
  if (found == state.requests.end() || found->second.epoch != ended.epoch) return;
  auto& entry = found->second;
  if (!apply(state, ended.request, entry, request_event::ended)) return;
  take_from_worker(state, entry);
  end_call(self, entry);
  if (ended.reason == finish_reason::stop && state.config.lengths)
    state.config.lengths->learn(entry.features, ended.usage.completion_tokens);
  state.requests.erase(found);
  dispatch(self);
}

void stop_expecting(scheduler_state& state, request_entry& entry) {
  const auto decodes_at = std::exchange(entry.decodes_at, std::nullopt);
  if (!decodes_at) return;
  if (const auto worker = state.workers.find(*decodes_at); worker != state.workers.end())
    worker->second.stop_expecting(entry.prompt_tokens);
}

void take_from_worker(scheduler_state& state, request_entry& entry) {
  stop_expecting(state, entry);
  if (const auto worker = state.workers.find(entry.worker); worker != state.workers.end())
    worker->second.remove(entry.is_urgent(), entry.work_s);
}

request_place lose_request(scheduler_pointer self, request_place lost) {
  auto& [id, entry] = *lost;
  stop_expecting(self->state, entry);
  const bool somebody_waits = entry.state == request_state::assigned;
  apply(self->state, id, entry, request_event::worker_down);
  end_call(self, entry);
  if (somebody_waits) self->send(entry.gateway, request_lost{id, entry.epoch});
  return self->state.requests.erase(lost);
}

}  // namespace troupe
