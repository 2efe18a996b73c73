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
  self->state.departures.erase(id);
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
  const std::uint32_t first_part = d.next_block - d.first_block;
  d.next_block += static_cast<std::uint32_t>(hold.blocks.size());
  d.sending = true;
  config.bulk->send(
      d.target, d.ticket, first_part, hold.blocks,
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
  result<kv_hold> hold = make_error(errc::not_found, "");
  result<sequence_snapshot> snapshot = make_error(errc::not_found, "");
};

/// Pauses the request, sends what is left and says that this is all.
void copy_rest(worker_pointer self, const worker_config& config, relocation_id id) {
  departure* const d = find(self, id);
  if (d == nullptr || failpoint("relocation.pause")) return;
  d->sending = true;  // no further stage begins
  with_engine(
      self,
      [request = d->request, next_block = d->next_block](engine_runner& runner) {
        last_stage_outcome outcome;
        if (auto paused = runner.pause(request); !paused) return outcome;
        const sequence_id sequence = *runner.find(request);
        outcome.hold = runner.transfer()->hold(sequence, next_block);
        outcome.snapshot = runner.transfer()->snapshot(sequence);
        return outcome;
      },
      [config, id](worker_pointer again, const last_stage_outcome& outcome) {
        departure* const still = find(again, id);
        if (still == nullptr) {
          if (outcome.hold) release_hold(again, outcome.hold->id);
          return;
        }
        const auto assigned = again->state.assignments.find(still->request);
        if (!outcome.hold || !outcome.snapshot || assigned == again->state.assignments.end()) {
          if (outcome.hold) release_hold(again, outcome.hold->id);
          return give_up(again, id, departure_event::aborted, "the request has ended");
        }
        if (outcome.hold->blocks.empty()) {
          release_hold(again, outcome.hold->id);
        } else {
          send_blocks(again, config, id, *still, *outcome.hold, [](worker_pointer, bool) {});
        }
        if (!apply(again, id, departure_event::rest_sent)) return;
        still->committed = next_owner(assigned->second.epoch);
        const auto& [request, progress] = *outcome.snapshot;
        if (!failpoint("relocation.commit"))
          again->send(still->target,
                      commit_relocation{id, still->committed, still->next_block - still->first_block, request.resumed,
                                        progress.n_computed, progress.cached_tokens, progress.prompt_logprobs});
        watch(again, config, id, *still);
      });
}

struct stage_outcome {
  result<kv_hold> hold = make_error(errc::not_found, "");
  bool prefilled = false;
};

void copy_stage(worker_pointer self, const worker_config& config, relocation_id id) {
  departure* const d = find(self, id);
  if (d == nullptr || d->sending) return;
  d->sending = true;
  with_engine(
      self,
      [request = d->request, next_block = d->next_block](engine_runner& runner) {
        stage_outcome outcome;
        const auto sequence = runner.find(request);
        if (!sequence) return outcome;
        outcome.hold = runner.transfer()->hold(*sequence, next_block);
        const auto snapshot = runner.transfer()->snapshot(*sequence);
        outcome.prefilled = snapshot && snapshot->progress.n_computed >= snapshot->request.prompt.size();
        return outcome;
      },
      [config, id](worker_pointer again, const stage_outcome& outcome) {
        departure* const still = find(again, id);
        if (still == nullptr || !outcome.hold) {
          if (outcome.hold) release_hold(again, outcome.hold->id);
          return give_up(again, id, departure_event::aborted, "the request has ended");
        }
        still->sending = false;
        const std::size_t n_blocks = outcome.hold->blocks.size();
        if (outcome.prefilled) ++still->n_stages;
        const bool last =
            outcome.prefilled && (n_blocks <= last_stage_blocks || still->n_stages > config.relocation_stages);
        if (n_blocks == 0 || last) {
          release_hold(again, outcome.hold->id);
          if (last) copy_rest(again, config, id);
          return;  // else: the next turn of the engine fills more
        }
        watch(again, config, id, *still);
        send_blocks(again, config, id, *still, *outcome.hold, [config, id](worker_pointer then, bool whole) {
          if (!whole) return give_up(then, id, departure_event::aborted, "its blocks cannot be sent");
          if (!failpoint("relocation.copy")) copy_stage(then, config, id);
        });
      });
}

struct offer_outcome {
  std::optional<sequence_snapshot> snapshot;
  kv_fingerprint fingerprint;
};

}  // namespace

void depart(worker_pointer self, const worker_config& config, request_id request, const caf::actor& target,
            bool hand_off) {
  auto& state = self->state;
  const bool under_way = std::any_of(state.departures.begin(), state.departures.end(),
                                     [&](const auto& entry) { return entry.second.request == request; });
  if (under_way || !config.bulk || !target || !state.assignments.contains(request) || target == self) return;
  const relocation_id id{state.next_relocation++};
  departure& d = state.departures[id];
  d.request = request;
  d.target = target;
  d.hand_off = hand_off;
  watch_worker(self, target);
  watch(self, config, id, d);
  with_engine(
      self,
      [request](engine_runner& runner) {
        offer_outcome outcome;
        const auto sequence = runner.find(request);
        if (!sequence || runner.transfer() == nullptr) return outcome;
        outcome.fingerprint = runner.transfer()->fingerprint();
        if (auto snapshot = runner.transfer()->snapshot(*sequence)) outcome.snapshot = *std::move(snapshot);
        return outcome;
      },
      [config, id](worker_pointer again, const offer_outcome& outcome) {
        const departure* const still = find(again, id);
        if (still == nullptr) return;
        const auto assigned = again->state.assignments.find(still->request);
        if (!outcome.snapshot || assigned == again->state.assignments.end())
          return give_up(again, id, departure_event::aborted, "the request has ended");
        const auto& moving = outcome.snapshot->request;
        const auto left = moving.sampling.max_tokens -
                          std::min(moving.sampling.max_tokens, static_cast<std::uint32_t>(moving.resumed.size()));
        const auto known = static_cast<std::uint32_t>(moving.prompt.size() + moving.resumed.size());
        if (failpoint("relocation.offer")) return;
        again->send(still->target,
                    offer_relocation{id, moving, assigned->second.epoch, known + std::min(left, reserve_ahead),
                                     outcome.fingerprint.low, outcome.fingerprint.high},
                    assigned->second.gateway);
      });
}

void drop_departures(worker_pointer self, request_id request) {
  auto& departures = self->state.departures;
  for (auto at = departures.begin(); at != departures.end();) {
    const auto& [id, d] = *at;
    if (d.request == request) self->send(d.target, abort_relocation{id, "the request is begun anew"});
    at = d.request == request ? departures.erase(at) : std::next(at);
  }
}

void take_accepted(worker_pointer self, const worker_config& config, const relocation_accepted& accepted) {
  if (!apply(self, accepted.relocation, departure_event::accepted)) return;
  departure& d = *find(self, accepted.relocation);
  d.ticket = accepted.ticket;
  d.first_block = d.next_block = accepted.first_block;
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
