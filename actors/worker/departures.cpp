#include "actors/worker/departures.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe {
namespace {

// A stage of so few blocks is worth no further one: it is copied within the pause.
constexpr std::size_t last_stage_blocks = 1;
// Positions reserved beyond the known ones: what is drawn while blocks are copied.
constexpr std::uint32_t reserve_ahead = 64;

departure* find(worker_pointer self, relocation_id id) {
  const auto found = self->state.departures.find(id);
  return found == self->state.departures.end() ? nullptr : &found->second;
}

void count(worker_pointer self, departure_event event) {
  auto& counts = self->state.relocations;
  ++(event == departure_event::done      ? counts.moved
     : event == departure_event::refused ? counts.refused
                                         : counts.failed);
  self->state.driver->run([](engine_runner&) {});  // an idle engine reports nothing by itself
}

/// Applies an event; nullptr (and counted) when there is no such departure or the event has no meaning. A departure
/// that it ends is taken out.
std::optional<departure> apply(worker_pointer self, relocation_id id, departure_event event) {
  departure* const d = find(self, id);
  if (d == nullptr) return std::nullopt;
  const auto transition = next(d->state, event);
  if (!transition.accepted) {
    ++self->state.rejected_events;
    return std::nullopt;
  }
  if (transition.becomes) {
    d->state = *transition.becomes;
    return *d;
  }
  departure ended = std::move(*d);
  if (ended.layers) ended.layers->close();
  self->state.departures.erase(id);
  count(self, event);
  return ended;
}

void watch(worker_pointer self, const worker_config& config, relocation_id id, departure& d) {
  self->delayed_send(self, config.relocation_step_limit, relocation_late{id, ++d.step});
}

/// The request stays: if it was paused, it goes on.
void stay(worker_pointer self, request_id request) {
  self->state.driver->run([request](engine_runner& runner) { (void)runner.resume(request); });
}

void give_up(worker_pointer self, relocation_id id, departure_event event, const std::string& why) {
  const auto ended = apply(self, id, event);
  if (!ended) return;
  log(log_level::debug, "worker", "a relocation ends: " + why, {{"request", ended->request.value}});
  self->send(ended->target, abort_relocation{id, why});
  stay(self, ended->request);
}

/// The target may have the request: whoever has the higher epoch owns it.
void reclaim(worker_pointer self, const worker_config& config, relocation_id id, departure_event event) {
  const auto ended = apply(self, id, event);
  if (!ended) return;
  const auto found = self->state.assignments.find(ended->request);
  // It may have ended, or have been begun anew.
  if (found == self->state.assignments.end() || next_owner(found->second.epoch) != ended->committed) return;
  found->second.epoch = next_owner(ended->committed);
  self->send(ended->target, abort_relocation{id, "the source takes it back"});
  self->send(config.scheduler, request_taken{ended->request, found->second.epoch, config.id});
  stay(self, ended->request);
}

void release_hold(worker_pointer self, kv_hold_id hold) {
  self->state.driver->run([hold](engine_runner& runner) { runner.transfer()->release(hold); });
}

void copy_stage(worker_pointer self, const worker_config& config, relocation_id id);

/// Blocks [next_block, …) of a hold onto the wire; `then` when they are there.
template <class Then>
void send_blocks(worker_pointer self, const worker_config& config, relocation_id id, departure& d, const kv_hold& hold,
                 Then then) {
  const std::uint32_t first_part = (d.next_block - d.first_block) * d.parts.per_block();
  d.next_block += static_cast<std::uint32_t>(hold.blocks.size());
  d.sending = true;
  config.bulk->send(
      d.target, d.ticket, first_part, d.parts.cut(std::span(hold.blocks)),
      [mailbox = worker_mailbox(self), memory = self->state.driver->memory(), id, hold = hold.id, then](bool whole) {
        mailbox.post([id, hold, then, whole](worker_pointer again) {
          release_hold(again, hold);
          if (departure* const still = find(again, id)) {
            still->sending = false;
            then(again, whole);
          }
        });
      });
}

struct last_stage_outcome {
  caf::actor_clock::time_point paused_at{};
  std::uint32_t next_block = 0;  // the hold's first
  result<kv_hold> hold = make_error(errc::not_found, "");
  result<sequence_snapshot> snapshot = make_error(errc::not_found, "");
};

/// On the engine's thread: the request stands still, and here is what is left of it.
last_stage_outcome take_rest(engine_runner& runner, request_id request, std::uint32_t next_block,
                             caf::actor_clock& clock) {
  last_stage_outcome outcome;
  if (auto paused = runner.pause(request); !paused) return outcome;
  outcome.paused_at = clock.now();
  outcome.next_block = next_block;
  const sequence_id sequence = *runner.find(request);
  outcome.hold = runner.transfer()->hold(sequence, next_block);
  outcome.snapshot = runner.transfer()->snapshot(sequence);
  return outcome;
}

/// Sends what is left and says that this is all.
void commit_rest(worker_pointer self, const worker_config& config, relocation_id id,
                 const last_stage_outcome& outcome) {
  departure* const d = find(self, id);
  if (d == nullptr || d->state != departure_state::copying) {
    if (outcome.hold) release_hold(self, outcome.hold->id);
    return;
  }
  const auto assigned = self->state.assignments.find(d->request);
  if (!outcome.hold || !outcome.snapshot || assigned == self->state.assignments.end()) {
    if (outcome.hold) release_hold(self, outcome.hold->id);
    return give_up(self, id, departure_event::aborted, "the request has ended");
  }
  d->next_block = outcome.next_block;
  d->sending = true;  // no further stage begins
  if (outcome.hold->blocks.empty())
    release_hold(self, outcome.hold->id);
  else
    send_blocks(self, config, id, *d, *outcome.hold, [](worker_pointer, bool) {});
  if (!apply(self, id, departure_event::rest_sent)) return;
  d->committed = next_owner(assigned->second.epoch);
  d->pause = std::chrono::duration_cast<std::chrono::microseconds>(self->clock().now() - outcome.paused_at);
  const auto& [request, progress] = *outcome.snapshot;
  if (!failpoint("relocation.commit"))
    self->send(d->target, commit_relocation{id, d->committed, (d->next_block - d->first_block) * d->parts.per_block(),
                                            request.resumed, progress.n_computed, progress.cached_tokens,
                                            progress.prompt_logprobs});
  watch(self, config, id, *d);
}

/// Pauses the request, sends what is left and says that this is all.
void copy_rest(worker_pointer self, const worker_config& config, relocation_id id) {
  departure* const d = find(self, id);
  if (d == nullptr || failpoint("relocation.pause")) return;
  d->sending = true;  // no further stage begins
  with_engine(
      self,
      [request = d->request, next_block = d->next_block, &clock = self->clock()](engine_runner& runner) {
        return take_rest(runner, request, next_block, clock);
      },
      [config, id](worker_pointer again, const last_stage_outcome& outcome) {
        commit_rest(again, config, id, outcome);
      });
}

struct stage_outcome {
  result<kv_hold> hold = make_error(errc::not_found, "");
  std::uint32_t next_block = 0;  // the hold's first
  bool prefilled = false;
  bool last = false;  // what is left is for the pause
};

/// On the engine's thread: what is there to be sent of a departure.
stage_outcome find_blocks(engine_runner& runner, const departure& d, std::uint32_t max_stages) {
  stage_outcome outcome;
  const auto sequence = runner.find(d.request);
  if (!sequence) return outcome;
  outcome.next_block = d.layers ? d.layers->next_block() : d.next_block;
  outcome.hold = runner.transfer()->hold(*sequence, outcome.next_block);
  const auto snapshot = runner.transfer()->snapshot(*sequence);
  if (!outcome.hold || !snapshot) return outcome;
  outcome.prefilled = snapshot->progress.n_computed >= snapshot->request.prompt.size();
  const std::size_t n_blocks = outcome.hold->blocks.size();
  outcome.last = outcome.prefilled && (n_blocks <= last_stage_blocks || d.n_stages >= max_stages) &&
                 !(d.layers && d.layers->is_sending());
  if (d.layers && outcome.prefilled) runner.listen(d.request, nullptr);
  if (d.layers && !outcome.last) d.layers->skip(static_cast<std::uint32_t>(n_blocks));
  return outcome;
}

void copy_stage(worker_pointer self, const worker_config& config, relocation_id id) {
  departure* const d = find(self, id);
  if (d == nullptr || d->sending) return;
  d->sending = true;
  with_engine(
      self,
      [seen = *d, max_stages = config.relocation_stages](engine_runner& runner) {
        return find_blocks(runner, seen, max_stages);
      },
      [config, id](worker_pointer again, const stage_outcome& outcome) {
        departure* const still = find(again, id);
        if (still != nullptr && still->state == departure_state::committing) {  // the prefill's end was quicker
          if (outcome.hold) release_hold(again, outcome.hold->id);
          return;
        }
        if (still == nullptr || !outcome.hold) {
          if (outcome.hold) release_hold(again, outcome.hold->id);
          return give_up(again, id, departure_event::aborted, "the request has ended");
        }
        still->sending = false;
        still->next_block = outcome.next_block;
        if (outcome.prefilled) ++still->n_stages;
        if (outcome.hold->blocks.empty() || outcome.last) {
          release_hold(again, outcome.hold->id);
          if (outcome.last) copy_rest(again, config, id);
          return;  // else: the next turn of the engine fills more, or what layers sent arrives
        }
        watch(again, config, id, *still);
        send_blocks(again, config, id, *still, *outcome.hold, [config, id](worker_pointer then, bool whole) {
          if (!whole) return give_up(then, id, departure_event::aborted, "its blocks cannot be sent");
          if (!failpoint("relocation.copy")) copy_stage(then, config, id);
        });
      });
}

/// What a step of the prefill sent has arrived, or has not.
void take_layers_sent(worker_pointer self, const worker_config& config, relocation_id id, kv_hold_id hold, bool whole) {
  release_hold(self, hold);
  departure* const d = find(self, id);
  if (d == nullptr) return;
  if (!whole) return give_up(self, id, departure_event::aborted, "its blocks cannot be sent");
  watch(self, config, id, *d);
  if (d->state == departure_state::copying && !failpoint("relocation.copy")) copy_stage(self, config, id);
}

/// From the engine's thread, in the middle of a step: parts of the ticket.
layer_sender::send_function make_layer_route(worker_pointer self, const worker_config& config, const departure& d) {
  // The runner keeps the listener, and so must not be kept by it.
  return
      [bulk = config.bulk, target = d.target, ticket = d.ticket, memory = std::weak_ptr(self->state.driver->memory())](
          std::uint32_t first_part, std::vector<std::span<const std::byte>> parts, bulk_port::completion done) {
        bulk->send(target, ticket, first_part, std::move(parts),
                   [kept = memory.lock(), done = std::move(done)](bool whole) { done(whole); });
      };
}

/// A new departure of a request that is assigned here; nullopt: it may not leave.
std::optional<relocation_id> open_departure(worker_pointer self, const worker_config& config, request_id request,
                                            const caf::actor& target) {
  auto& state = self->state;
  const bool under_way = std::any_of(state.departures.begin(), state.departures.end(),
                                     [&](const auto& entry) { return entry.second.request == request; });
  if (under_way || !config.bulk || !target || !state.assignments.contains(request) || target == self ||
      !state.driver->kv())
    return std::nullopt;
  const relocation_id id{state.next_relocation++};
  departure& d = state.departures[id];
  d.request = request;
  d.target = target;
  watch_worker(self, target);
  watch(self, config, id, d);
  return id;
}

void send_offer(worker_pointer self, relocation_id id, const departure& d, const generation_request& request) {
  if (failpoint("relocation.offer")) return;
  const auto& assigned = self->state.assignments.at(d.request);
  const auto drawn = static_cast<std::uint32_t>(request.resumed.size());
  const std::uint32_t left = request.sampling.max_tokens - std::min(request.sampling.max_tokens, drawn);
  const std::uint32_t known = static_cast<std::uint32_t>(request.prompt.size()) + drawn;
  const auto [low, high] = self->state.driver->kv()->fingerprint;
  offer_relocation offer{id, request, assigned.epoch, known + std::min(left, reserve_ahead), low, high};
  offer.request.objective.elapsed =
      std::chrono::duration_cast<std::chrono::microseconds>(self->clock().now() - assigned.arrived);
  self->send(d.target, std::move(offer), assigned.gateway);
}

}  // namespace

void depart(worker_pointer self, const worker_config& config, request_id request, const caf::actor& target) {
  const auto id = open_departure(self, config, request, target);
  if (!id) return;
  with_engine(
      self,
      [request](engine_runner& runner) -> std::optional<generation_request> {
        const auto sequence = runner.find(request);
        if (!sequence) return std::nullopt;
        auto snapshot = runner.transfer()->snapshot(*sequence);
        return snapshot ? std::optional(std::move(snapshot->request)) : std::nullopt;
      },
      [id = *id](worker_pointer again, const std::optional<generation_request>& moving) {
        const departure* const still = find(again, id);
        if (still == nullptr) return;
        if (!moving || !again->state.assignments.contains(still->request))
          return give_up(again, id, departure_event::aborted, "the request has ended");
        send_offer(again, id, *still, *moving);
      });
}

void depart_some(worker_pointer self, const worker_config& config, const caf::actor& target) {
  const auto& departures = self->state.departures;
  const bool busy = std::any_of(departures.begin(), departures.end(), [](const auto& d) { return !d.second.hand_off; });
  if (busy) return;
  with_engine(
      self, [](engine_runner& runner) { return runner.choose_victim(); },
      [config, target](worker_pointer again, const std::optional<request_id>& victim) {
        if (victim) depart(again, config, *victim, target);
      });
}

engine_task hand_off(worker_pointer self, const worker_config& config, const generation_request& request,
                     const caf::actor& target) {
  const auto id = open_departure(self, config, request.id, target);
  if (!id) return {};
  departure& d = *find(self, *id);
  d.hand_off = true;
  d.layers = std::make_shared<layer_sender>([mailbox = worker_mailbox(self), config, id = *id](kv_hold_id hold,
                                                                                               bool whole) {
    mailbox.post([config, id, hold, whole](worker_pointer again) { take_layers_sent(again, config, id, hold, whole); });
  });
  send_offer(self, *id, d, request);
  // Once the prompt is computed the request leaves before the next step begins, which may be that of a long prompt.
  auto leave = [mailbox = worker_mailbox(self), config, id = *id, request = request.id,
                layers = std::weak_ptr(d.layers), &clock = self->clock()](engine_runner& runner) {
    const auto open = layers.lock();
    if (!open || !open->is_open() || failpoint("relocation.pause")) return;
    mailbox.post([config, id, outcome = take_rest(runner, request, open->next_block(), clock)](worker_pointer again) {
      commit_rest(again, config, id, outcome);
    });
  };
  return [request = request.id, layers = d.layers, leave = std::move(leave)](engine_runner& runner) {
    layers->attach(*runner.transfer());
    runner.listen(request, layers);
    runner.when_prefilled(request, leave);
  };
}

void drop_departures(worker_pointer self, request_id request) {
  auto& departures = self->state.departures;
  for (auto at = departures.begin(); at != departures.end();) {
    const auto& [id, d] = *at;
    if (d.request == request) self->send(d.target, abort_relocation{id, "the request is begun anew"});
    if (d.request == request && d.layers) d.layers->close();
    at = d.request == request ? departures.erase(at) : std::next(at);
  }
}

void take_accepted(worker_pointer self, const worker_config& config, const relocation_accepted& accepted) {
  if (!apply(self, accepted.relocation, departure_event::accepted)) return;
  departure& d = *find(self, accepted.relocation);
  d.ticket = accepted.ticket;
  d.first_block = d.next_block = accepted.first_block;
  const auto geometry = self->state.driver->kv()->geometry;
  if (accepted.layers_per_part < 1 || accepted.layers_per_part > geometry.n_layers)
    return give_up(self, accepted.relocation, departure_event::aborted, "the target takes no part of a block");
  d.parts = kv_parts(geometry, accepted.layers_per_part);
  if (d.layers) d.layers->open(d.parts, d.first_block, make_layer_route(self, config, d));
  watch(self, config, accepted.relocation, d);
  copy_stage(self, config, accepted.relocation);
}

void take_refused(worker_pointer self, const worker_config&, const relocation_refused& refused) {
  const auto ended = apply(self, refused.relocation, departure_event::refused);
  if (ended)
    log(log_level::debug, "worker", "a relocation is refused: " + refused.reason, {{"request", ended->request.value}});
}

void take_done(worker_pointer self, const worker_config& config, const relocation_done& done) {
  const auto ended = apply(self, done.relocation, departure_event::done);
  if (!ended) return;
  self->state.relocations.pause_us += static_cast<std::uint64_t>(ended->pause.count()) + done.taken_after_us;
  self->send(config.scheduler, request_given{ended->request, ended->committed}, ended->target);
  const auto found = self->state.assignments.find(ended->request);
  if (found == self->state.assignments.end() || next_owner(found->second.epoch) != ended->committed) return;
  self->state.assignments.erase(found);
  self->state.driver->run([request = ended->request](engine_runner& runner) { runner.forget(request); });
}

void take_departure_abort(worker_pointer self, const worker_config&, const abort_relocation& abort) {
  const auto ended = apply(self, abort.relocation, departure_event::aborted);
  if (!ended) return;
  log(log_level::debug, "worker", "the target ends a relocation: " + abort.reason, {{"request", ended->request.value}});
  stay(self, ended->request);
}

void take_departure_timeout(worker_pointer self, const worker_config& config, const relocation_late& late) {
  const departure* const d = find(self, late.relocation);
  if (d == nullptr || d->step != late.step) return;
  if (d->state == departure_state::committing) return reclaim(self, config, late.relocation, departure_event::late);
  // A prompt may take longer than a step; its hand-off waits as long as blocks come.
  if (d->hand_off && d->state == departure_state::copying)
    return watch(self, config, late.relocation, *find(self, late.relocation));
  give_up(self, late.relocation, departure_event::late, "it takes too long");
}

void lose_target(worker_pointer self, const worker_config& config, const caf::actor_addr& gone) {
  std::vector<relocation_id> lost;
  for (const auto& [id, d] : self->state.departures)
    if (d.target == gone) lost.push_back(id);
  for (const auto id : lost) {
    if (find(self, id)->state == departure_state::committing)
      reclaim(self, config, id, departure_event::down);
    else
      give_up(self, id, departure_event::down, "the target is gone");
  }
}

void continue_hand_offs(worker_pointer self, const worker_config& config) {
  std::vector<relocation_id> waiting;
  for (const auto& [id, d] : self->state.departures)
    if (d.state == departure_state::copying && !d.sending) waiting.push_back(id);
  for (const auto id : waiting)
    copy_stage(self, config, id);
}

}  // namespace troupe
