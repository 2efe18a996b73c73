#include "actors/worker/worker.hpp"

#include "actors/worker/arrivals.hpp"
#include "actors/worker/departures.hpp"
#include "base/failpoint.hpp"
#include "base/random.hpp"
#include "runtime/observe/log.hpp"
#include "transport/bridge/message_codec.hpp"

#include <cstring>
#include <utility>

namespace troupe {
namespace {

request_ended ended(const request_progress& progress, epoch of) {
  request_ended message;
  message.request = progress.request;
  message.epoch = of;
  message.reason = progress.reason;
  message.usage = progress.usage;
  if (progress.failure) {
    message.failure = progress.failure->code;
    message.message = progress.failure->message;
    message.param = progress.failure->param;
  }
  return message;
}

void pass_on(worker_pointer self, const caf::actor& scheduler, request_progress progress) {
  auto& assignments = self->state.assignments;
  const auto found = assignments.find(progress.request);
  if (found == assignments.end()) return;  // answered before: a cancel and the last token met
  const auto [epoch, gateway, run, arrived] = found->second;
  if (progress.run != run) return;  // of a run before this one
  if ((!progress.tokens.empty() || !progress.prompt.empty()) && !failpoint("request.chunk"))
    self->send(gateway, token_chunk{progress.request, epoch, std::move(progress.prompt), std::move(progress.tokens)});
  if (progress.reason == finish_reason::unfinished) return;
  const auto end = ended(progress, epoch);
  assignments.erase(found);
  self->send(gateway, end);
  self->send(scheduler, end);
}

/// `decode_worker`: where the request goes after its prefill, or null.
void assign(worker_pointer self, const worker_config& config, assign_request& assigned, const caf::actor& gateway,
            const caf::actor& decode_worker) {
  const request_id id = assigned.request.id;
  auto& assignments = self->state.assignments;
  const auto known = assignments.find(id);
  // Of the same incarnation: an echo. Of an older one: it was thought lost, or was on its way here or from here.
  if (known != assignments.end() && incarnation(known->second.epoch) >= incarnation(assigned.epoch)) return;
  drop_departures(self, id);
  drop_arrivals(self, config, id);
  const std::uint64_t run = ++self->state.n_runs;
  const auto facts = facts_of(assigned.request, self->clock().now());
  assignments.insert_or_assign(id, worker_state::assignment{assigned.epoch, gateway, run, facts.arrived});
  const auto leave = hand_off(self, config, assigned.request, decode_worker);
  // In one task, so that whoever listens is there before the first step.
  const bool taken = self->state.driver->run(
      [request = std::move(assigned.request), facts, run, number = assigned.number, leave](engine_runner& runner) {
        runner.add(request, facts, run, number);
        if (leave && runner.find(request.id)) leave(runner);
      });
  if (taken) return;
  drop_departures(self, id);
  request_progress refused;
  refused.request = id;
  refused.run = run;
  refused.reason = finish_reason::failed;
  refused.failure = make_error(errc::overloaded, "The worker's queue is full; try again later.");
  pass_on(self, config.scheduler, std::move(refused));
}

void drop(worker_pointer self, const cancel_request& cancel) {
  const auto found = self->state.assignments.find(cancel.request);
  if (found == self->state.assignments.end()) return;
  if (cancel.epoch == epoch{}) return self->state.driver->remove(cancel.request);
  // Somebody else owns it by now: an end that this worker reported would be taken for the request's.
  if (found->second.epoch != cancel.epoch) return;
  self->state.assignments.erase(found);
  self->state.driver->run([id = cancel.request](engine_runner& runner) { runner.forget(id); });
}

/// The scheduler has checked the name.
void set_order(worker_pointer self, const worker_config& config, const std::string& name) {
  self->state.driver->run([name, settings = config.batching](engine_runner& runner) {
    if (auto policy = policies::make_batching_policy(name, settings)) runner.set_policy(*std::move(policy));
  });
}

/// A number that no other worker begins with, nor this one when it is started again: its node is named by random bytes.
std::uint64_t draw_first_relocation(worker_pointer self) {
  const auto node = transport::to_node_id(self->node());
  std::uint64_t random = 0;
  std::memcpy(&random, node.bytes.data(), sizeof random);
  return random_bits(random, self->id());
}

}  // namespace

caf::behavior worker_actor(caf::stateful_actor<worker_state>* self, worker_config config) {
  self->send(config.scheduler, worker_started{config.id, config.roles}, caf::actor_cast<caf::actor>(self));
  auto driver =
      config.make_driver(config.id, [self_handle = caf::actor_cast<caf::actor_addr>(self)](engine_report report) {
        // The driver must not keep its worker alive.
        if (const auto worker = caf::actor_cast<caf::actor>(self_handle)) caf::anon_send(worker, std::move(report));
      });
  if (!driver) {
    log(log_level::error, "worker", driver.error().message);
    self->quit(caf::make_error(caf::sec::runtime_error, driver.error().message));
    return {};
  }
  self->state.driver = *std::move(driver);
  self->state.bulk = config.bulk;
  self->state.next_relocation = draw_first_relocation(self);

  self->set_down_handler([=](const caf::down_msg& down) {
    self->state.watched.erase(down.source);
    lose_target(self, config, down.source);
    lose_source(self, config, down.source);
  });
  const auto sender = [self] { return caf::actor_cast<caf::actor>(self->current_sender()); };
  return {
      [=](assign_request& assigned, const caf::actor& gateway) { assign(self, config, assigned, gateway, nullptr); },
      [=](assign_request& assigned, const caf::actor& gateway, const caf::actor& decode_worker) {
        assign(self, config, assigned, gateway, decode_worker);
      },
      [=](const cancel_request& cancel) { drop(self, cancel); },
      [=](engine_report& report) {
        for (auto& progress : report.progress)
          pass_on(self, config.scheduler, std::move(progress));
        if (report.engine_failure) {
          log(log_level::error, "worker", "the engine died: " + report.engine_failure->message);
          self->quit(caf::make_error(caf::sec::runtime_error, report.engine_failure->message));
          return;
        }
        report.load.relocations = self->state.relocations;
        self->send(config.scheduler, report.load);
        continue_hand_offs(self, config);
      },
      [=](const worker_task& task) { task.run(self); },
      [=](const relocate_request& relocate, const caf::actor& target) {
        depart(self, config, relocate.request, target);
      },
      [=](relocate_some, const caf::actor& target) { depart_some(self, config, target); },
      [=](const set_local_order& order) { set_order(self, config, order.name); },
      [=](const offer_relocation& offer, const caf::actor& gateway) {
        take_offer(self, config, offer, sender(), gateway);
      },
      [=](const relocation_accepted& accepted) { take_accepted(self, config, accepted); },
      [=](const relocation_refused& refused) { take_refused(self, config, refused); },
      [=](const commit_relocation& commit) { take_commit(self, config, commit); },
      [=](const relocation_done& done) { take_done(self, config, done); },
      [=](const abort_relocation& abort) {
        take_departure_abort(self, config, abort);
        take_arrival_abort(self, config, abort);
      },
      [=](const relocation_late& late) { take_departure_timeout(self, config, late); },
      [=](const arrival_late& late) { take_arrival_timeout(self, config, late); },
  };
}

}  // namespace troupe
