#include "actors/supervisor/supervisor.hpp"

#include "actors/worker/worker.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe {
namespace {

using supervisor_pointer = caf::stateful_actor<supervisor_state>*;

void start(supervisor_pointer self, const supervisor_config& config, worker_id id) {
  worker_config of{id,          config.scheduler,         config.make_driver,          config.roles,
                   config.bulk, config.relocation_stages, config.relocation_part_bytes};
  of.batching = config.batching;
  const auto handle = self->spawn(worker_actor, std::move(of));
  self->state.children[id].handle = handle;
  self->monitor(handle);
}

void restart(supervisor_pointer self, const supervisor_config& config, const caf::down_msg& down) {
  auto& children = self->state.children;
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const auto& child) { return child.second.handle == down.source; });
  if (found == children.end() || down.reason == caf::exit_reason::user_shutdown) return;
  auto& [id, child] = *found;
  const auto now = self->clock().now();
  while (!child.restarts.empty() && now - child.restarts.front() > config.restart_window)
    child.restarts.pop_front();
  if (child.restarts.size() >= config.max_restarts) {
    log(log_level::error, "supervisor",
        "worker " + std::to_string(id.value) + " died " + std::to_string(child.restarts.size() + 1) +
            " times in a row and stays down");
    return;
  }
  const auto backoff = config.first_backoff * (std::int64_t{1} << std::min<std::size_t>(child.restarts.size(), 10));
  child.restarts.push_back(now);
  if (config.on_restart) config.on_restart();
  self->delayed_send(self, backoff, start_worker{id});
}

}  // namespace

caf::behavior supervisor_actor(caf::stateful_actor<supervisor_state>* self, supervisor_config config) {
  self->set_down_handler([=](const caf::down_msg& down) { restart(self, config, down); });
  self->set_exit_handler([=](const caf::exit_msg& exit) {
    for (const auto& [id, child] : self->state.children)
      self->send_exit(child.handle, caf::exit_reason::user_shutdown);
    self->quit(exit.reason);
  });
  for (std::uint32_t i = 0; i < config.n_workers; ++i)
    start(self, config, worker_id{config.first_worker.value + i});
  return {[=](const start_worker& message) { start(self, config, message.worker); }};
}

}  // namespace troupe
