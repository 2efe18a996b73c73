#include "actors/worker/arrivals.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe {
namespace {

arrival* find(worker_pointer self, relocation_id id) {
  const auto found = self->state.arrivals.find(id);
  return found == self->state.arrivals.end() ? nullptr : &found->second;
}

/// Applies an event; false (and counted) when there is no such arrival or the event has no meaning. An arrival that it
/// ends is the caller's to take out.
bool apply(worker_pointer self, relocation_id id, arrival_event event) {
  arrival* const a = find(self, id);
  if (a == nullptr) return false;
  const auto transition = next(a->state, event);
  if (!transition.accepted) {
    ++self->state.rejected_events;
    return false;
  }
  if (transition.becomes) a->state = *transition.becomes;
  return true;
}

/// The blocks are given back; nothing is on its way into them any more.
void forget(worker_pointer self, relocation_id id) {
  const arrival* const a = find(self, id);
  if (a->sequence)
    self->state.driver->run([sequence = *a->sequence](engine_runner& runner) { runner.abandon(sequence); });
  self->state.arrivals.erase(id);
}

/// Ends an arrival as soon as nobody writes into its blocks.
void give_up(worker_pointer self, const worker_config& config, relocation_id id) {
  arrival& a = *find(self, id);
  if (a.commit && a.filled) return;  // the engine is taking it; if the source goes on, the higher epoch decides
  a.given_up = true;
  if (a.ticket != 0 && !a.filled) return config.bulk->close(a.ticket);  // settled() follows
  if (a.state != arrival_state::reserving) forget(self, id);            // else the reservation follows
}

struct completion_outcome {
  caf::actor_clock::time_point at{};
  result<> committed = make_error(errc::not_found, "");
};

/// Everything is here: the request is this worker's.
void complete(worker_pointer self, const worker_config& config, relocation_id id) {
  const arrival& a = *find(self, id);
  const commit_relocation& commit = *a.commit;
  const std::uint64_t run = ++self->state.n_runs;
  with_engine(
      self,
      [facts = a.facts, sequence = *a.sequence, commit, run, &clock = self->clock()](engine_runner& runner) {
        completion_outcome outcome;
        outcome.at = clock.now();
        outcome.committed = runner.transfer()->commit(
            sequence, commit.resumed, {commit.n_computed, commit.cached_tokens, commit.prompt_logprobs});
        if (outcome.committed)
          runner.adopt(facts, sequence, run);
        else
          runner.abandon(sequence);
        return outcome;
      },
      [config, id, run](worker_pointer again, const completion_outcome& outcome) {
        const auto found = again->state.arrivals.find(id);
        if (found == again->state.arrivals.end()) return;
        const arrival taken = std::move(found->second);
        again->state.arrivals.erase(found);
        if (taken.given_up) return;  // begun anew, which has taken its place
        if (!outcome.committed) {
          log(log_level::warning, "worker", "a relocation ends: " + outcome.committed.error().message);
          return again->send(taken.source, abort_relocation{id, outcome.committed.error().message});
        }
        again->state.assignments.insert_or_assign(
            taken.request, worker_state::assignment{taken.commit->epoch, taken.gateway, run, taken.facts.arrived});
        if (!failpoint("relocation.taken"))
          again->send(config.scheduler, request_taken{taken.request, taken.commit->epoch, config.id});
        const auto wait = std::chrono::duration_cast<std::chrono::microseconds>(outcome.at - taken.commit_arrived);
        if (!failpoint("relocation.done"))
          again->send(taken.source, relocation_done{id, static_cast<std::uint64_t>(wait.count())});
      });
}

/// The ticket is done: every part that was expected is here, or none will come any more.
void settled(worker_pointer self, const worker_config& config, relocation_id id, bool whole) {
  arrival* const a = find(self, id);
  if (a == nullptr) return;
  a->filled = true;
  if (a->given_up) return forget(self, id);
  if (failpoint("relocation.broken")) whole = false;
  if (!apply(self, id, whole ? arrival_event::filled : arrival_event::broken)) return;
  if (!whole) {
    self->send(a->source, abort_relocation{id, "its blocks did not arrive whole"});
    return forget(self, id);
  }
  if (a->commit) complete(self, config, id);
}

struct reserve_outcome {
  result<kv_reservation> reservation = make_error(errc::unsupported, "This worker takes no requests of others.");
};

void refuse(worker_pointer self, relocation_id id, const std::string& why) {
  const arrival* const a = find(self, id);
  self->send(a->source, relocation_refused{id, why});
  if (apply(self, id, arrival_event::no_room)) self->state.arrivals.erase(id);
}

void accept(worker_pointer self, const worker_config& config, relocation_id id, const kv_reservation& reservation) {
  arrival& a = *find(self, id);
  a.sequence = reservation.sequence;
  if (a.given_up) return forget(self, id);
  const auto parts = kv_parts::of_at_least(self->state.driver->kv()->geometry, config.relocation_part_bytes);
  auto ticket = config.bulk->open(
      a.source, parts.cut(std::span(reservation.blocks)),
      [mailbox = worker_mailbox(self), memory = self->state.driver->memory(), config, id](bool whole) {
        mailbox.post([config, id, whole](worker_pointer again) { settled(again, config, id, whole); });
      });
  if (!ticket) {
    self->send(a.source, relocation_refused{id, ticket.error().message});
    return forget(self, id);
  }
  a.ticket = *ticket;
  apply(self, id, arrival_event::reserved);
  if (!failpoint("relocation.accept"))
    self->send(a.source,
               relocation_accepted{id, a.ticket, reservation.first_block,
                                   static_cast<std::uint32_t>(reservation.blocks.size()), parts.layers_per_part()});
  self->delayed_send(self, config.arrival_limit, arrival_late{id});
}

}  // namespace

void take_offer(worker_pointer self, const worker_config& config, const offer_relocation& offer,
                const caf::actor& source, const caf::actor& gateway) {
  auto& state = self->state;
  const auto arrives = [&](const auto& entry) { return entry.second.request == offer.request.id; };
  const bool here = state.assignments.contains(offer.request.id) || state.arrivals.contains(offer.relocation) ||
                    std::any_of(state.arrivals.begin(), state.arrivals.end(), arrives);
  if (here || !config.bulk)
    return self->send(source,
                      relocation_refused{offer.relocation, "the request is here already, or nothing can arrive"});
  arrival& a = state.arrivals[offer.relocation];
  a.request = offer.request.id;
  a.source = source;
  a.gateway = gateway;
  a.facts = facts_of(offer.request, self->clock().now());
  watch_worker(self, source);
  with_engine(
      self,
      [offer](engine_runner& runner) {
        reserve_outcome outcome;
        kv_transfer* const transfer = runner.transfer();
        if (transfer == nullptr) return outcome;
        if (transfer->fingerprint() != kv_fingerprint{offer.fingerprint_low, offer.fingerprint_high})
          outcome.reservation = make_error(errc::unsupported, "K and V of another model, layout or build.");
        else
          outcome.reservation = transfer->reserve(offer.request, offer.n_tokens);
        return outcome;
      },
      [config, id = offer.relocation](worker_pointer again, const reserve_outcome& outcome) {
        if (find(again, id) == nullptr) return;
        if (outcome.reservation)
          accept(again, config, id, *outcome.reservation);
        else
          refuse(again, id, outcome.reservation.error().message);
      });
}

void take_commit(worker_pointer self, const worker_config& config, const commit_relocation& commit) {
  arrival* const a = find(self, commit.relocation);
  if (a == nullptr || a->given_up || !apply(self, commit.relocation, arrival_event::commit)) return;
  a->commit = commit;
  a->commit_arrived = self->clock().now();
  if (a->filled) return complete(self, config, commit.relocation);
  config.bulk->expect(a->ticket, commit.n_parts);
}

void take_arrival_abort(worker_pointer self, const worker_config& config, const abort_relocation& abort) {
  const arrival* const a = find(self, abort.relocation);
  if (a != nullptr && !a->given_up) give_up(self, config, abort.relocation);
}

void take_arrival_timeout(worker_pointer self, const worker_config& config, const arrival_late& late) {
  const arrival* const a = find(self, late.relocation);
  // What the engine is taking is not given back: the source must not go on with the same epoch.
  if (a == nullptr || a->given_up || (a->commit && a->filled)) return;
  self->send(a->source, abort_relocation{late.relocation, "it takes too long"});
  give_up(self, config, late.relocation);
}

void drop_arrivals(worker_pointer self, const worker_config& config, request_id request) {
  std::vector<relocation_id> dropped;
  for (const auto& [id, a] : self->state.arrivals)
    if (a.request == request && !a.given_up) dropped.push_back(id);
  for (const auto id : dropped) {
    give_up(self, config, id);
    if (arrival* const still = find(self, id)) still->given_up = true;
  }
}

void lose_source(worker_pointer self, const worker_config& config, const caf::actor_addr& gone) {
  std::vector<relocation_id> lost;
  for (const auto& [id, a] : self->state.arrivals)
    if (a.source == gone && !a.given_up) lost.push_back(id);
  for (const auto id : lost)
    give_up(self, config, id);
}

}  // namespace troupe
