#include "actors/member/member.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

using member_pointer = caf::stateful_actor<member_actor_state>*;

/// False, and counted, when the event has no meaning now.
bool apply(member_pointer self, member_event event) {
  const auto becomes = next(self->state.phase, event);
  if (!becomes) {
    ++self->state.rejected_events;
    return false;
  }
  self->state.phase = *becomes;
  return true;
}

void search_later(member_pointer self, const member_config& config) {
  const auto doubled = config.first_backoff * (1 << std::min(self->state.attempts, 10u));
  ++self->state.attempts;
  self->delayed_send(self, std::min<std::chrono::milliseconds>(doubled, config.longest_backoff), search_registry{});
}

void stop_workers(member_pointer self) {
  auto& workers = self->state.workers;
  if (!workers) return;
  self->send_exit(workers, caf::exit_reason::user_shutdown);
  workers = nullptr;
}

void leave_for_good(member_pointer self, const member_config& config, const std::string& why) {
  stop_workers(self);
  config.on_gone(why);
}

void introduce(member_pointer self, const member_config& config, const caf::actor& registry) {
  if (!apply(self, member_event::found)) return;
  self->state.registry = registry;
  self->monitor(registry);
  self->send(registry, config.introduction, caf::actor_cast<caf::actor>(self));
  self->delayed_send(self, config.answer_within, join_unanswered{++self->state.joining});
}

void serve(member_pointer self, const member_config& config, const cluster_joined& joined,
           const caf::actor& scheduler) {
  if (!apply(self, member_event::joined)) return;
  self->state.attempts = 0;
  log(log_level::info, "member", "joined", {{"number", joined.number}});
  self->state.workers = config.start_workers(self, worker_id{joined.number}, scheduler);
}

void refuse(member_pointer self, const member_config& config, const join_refused& refused) {
  if (!apply(self, refused.for_good ? member_event::refused_for_good : member_event::refused)) return;
  log(refused.for_good ? log_level::error : log_level::warning, "member", "refused: " + refused.reason);
  self->demonitor(self->state.registry);
  if (refused.for_good) return leave_for_good(self, config, refused.reason);
  search_later(self, config);
}

void lose_registry(member_pointer self, const member_config& config) {
  self->state.registry = nullptr;
  if (!apply(self, member_event::down)) return;
  if (self->state.phase == member_state::gone) return leave_for_good(self, config, "the head is gone");
  // Whoever is cut off must not go on: its requests are being continued elsewhere.
  log(log_level::warning, "member", "the head is lost; looking for it");
  stop_workers(self);
  search_later(self, config);
}

}  // namespace

caf::behavior member_actor(caf::stateful_actor<member_actor_state>* self, member_config config) {
  self->set_down_handler([=](const caf::down_msg& down) {
    if (self->state.registry == down.source) lose_registry(self, config);
  });
  self->set_exit_handler([=](const caf::exit_msg& exit) {
    stop_workers(self);
    self->quit(exit.reason);
  });
  self->send(self, search_registry{});
  return {
      [=](search_registry) {
        if (self->state.phase == member_state::searching) config.find_registry(caf::actor_cast<caf::actor>(self));
      },
      [=](registry_found, const caf::actor& registry) { introduce(self, config, registry); },
      [=](const registry_missing& missing) {
        if (self->state.phase != member_state::searching) return;
        if (self->state.attempts == 0) log(log_level::info, "member", "waiting for the head: " + missing.why);
        search_later(self, config);
      },
      [=](const cluster_joined& joined, const caf::actor& scheduler) { serve(self, config, joined, scheduler); },
      [=](const join_refused& refused) { refuse(self, config, refused); },
      [=](const join_unanswered& of) {
        if (self->state.phase != member_state::joining || of.attempt != self->state.joining) return;
        self->demonitor(self->state.registry);
        lose_registry(self, config);
      },
      [=](const members_changed& members) { config.on_members(members); },
      [=](const stop_node&) { leave_for_good(self, config, "told to stop"); },
  };
}

}  // namespace troupe
