#include "actors/worker/worker.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"

#include <utility>

namespace troupe {
namespace {

using worker_pointer = caf::stateful_actor<worker_state>*;

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
  const auto [epoch, gateway] = found->second;
  if ((!progress.tokens.empty() || !progress.prompt.empty()) && !failpoint("request.chunk"))
    self->send(gateway, token_chunk{progress.request, epoch, std::move(progress.prompt), std::move(progress.tokens)});
  if (progress.reason == finish_reason::unfinished) return;
  const auto end = ended(progress, epoch);
  assignments.erase(found);
  self->send(gateway, end);
  self->send(scheduler, end);
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

  return {
      [=](assign_request& assigned, const caf::actor& gateway) {
        const request_id id = assigned.request.id;
        auto& assignments = self->state.assignments;
        // A newer epoch exists only after its worker died, so a second assignment here is an echo of the first.
        if (!assignments.try_emplace(id, worker_state::assignment{assigned.epoch, gateway}).second) return;
        if (self->state.driver->add(std::move(assigned.request))) return;
        request_progress refused;
        refused.request = id;
        refused.reason = finish_reason::failed;
        refused.failure = make_error(errc::overloaded, "The worker's queue is full; try again later.");
        pass_on(self, config.scheduler, std::move(refused));
      },
      [=](const cancel_request& cancel) { self->state.driver->remove(cancel.request); },
      [=](engine_report& report) {
        for (auto& progress : report.progress)
          pass_on(self, config.scheduler, std::move(progress));
        if (report.engine_failure) {
          log(log_level::error, "worker", "the engine died: " + report.engine_failure->message);
          self->quit(caf::make_error(caf::sec::runtime_error, report.engine_failure->message));
          return;
        }
        self->send(config.scheduler, report.load);
      },
  };
}

}  // namespace troupe
