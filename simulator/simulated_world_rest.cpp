// What a simulated cluster looks like when nobody has anything to do any more (I5, I6, I10).
#include "actors/member/member.hpp"
#include "actors/registry/registry.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "simulator/actor_state.hpp"
#include "simulator/simulated_world.hpp"

#include <algorithm>

namespace troupe::simulator {
std::optional<worker_id> simulated_world::number(std::size_t node) const {
  const auto* const registry = state_of<registry_state>(head_.registry);
  const auto found = registry->members.find(nodes_[node].name);
  if (found == registry->members.end()) return std::nullopt;
  return worker_id{found->second.info.number};
}

std::optional<std::size_t> simulated_world::find_request(request_id request) const {
  const auto* const scheduler = state_of<scheduler_state>(head_.scheduler);
  const auto found = scheduler->requests.find(request);
  if (found == scheduler->requests.end() || found->second.state != request_state::assigned) return std::nullopt;
  for (std::size_t at = 1; at < nodes_.size(); ++at)
    if (number(at) == found->second.worker) return at;
  return std::nullopt;
}

const simulated_engine* simulated_world::engine(std::size_t node) const {
  const auto& engines = nodes_[node].engines;
  return engines.empty() ? nullptr : engines.back().engine;
}

bool simulated_world::at_rest(std::string* why) const {
  const auto unrest = find_unrest();
  if (unrest && why != nullptr) *why = *unrest;
  return !unrest;
}

std::optional<std::string> simulated_world::find_unrest() const {
  if (auto unrest = find_unrest_of_head()) return unrest;
  for (std::size_t at = 1; at < nodes_.size(); ++at)
    if (nodes_[at].node && !nodes_[at].gone)
      if (auto unrest = find_unrest_of_node(at)) return nodes_[at].name + ": " + *unrest;
  return std::nullopt;
}

std::optional<std::string> simulated_world::find_unrest_of_head() const {
  const auto* const scheduler = state_of<scheduler_state>(head_.scheduler);
  const auto* const gateway = state_of<gateway_state>(head_.gateway);
  if (scheduler == nullptr || gateway == nullptr) return "an actor of the head has died";
  for (const auto& stream : streams_)
    if (stream->ends == 0) return "request " + std::to_string(stream->id.value) + " has not ended";
  if (!gateway->streams.empty()) return "the gateway has streams";
  if (!scheduler->requests.empty())
    return "the scheduler has request " + std::to_string(scheduler->requests.begin()->first.value) + ", " +
           std::string(to_string(scheduler->requests.begin()->second.state));
  if (!scheduler->queue.empty()) return "the scheduler's queue is not empty";
  for (const auto& [id, worker] : scheduler->workers)
    if (worker.load().requests != 0)
      return "the scheduler counts " + std::to_string(worker.load().requests) + " requests of worker " +
             std::to_string(id.value);
  std::size_t n_expected = 0;
  for (std::size_t at = 1; at < nodes_.size(); ++at)
    if (nodes_[at].node && !nodes_[at].gone) ++n_expected;
  if (scheduler->workers.size() != n_expected)
    return "the scheduler knows " + std::to_string(scheduler->workers.size()) + " workers of " +
           std::to_string(n_expected);
  return std::nullopt;
}

std::optional<std::string> simulated_world::find_unrest_of_node(std::size_t at) const {
  const world_node& of = nodes_[at];
  const auto* const member = state_of<member_actor_state>(of.member);
  if (member == nullptr || member->phase != member_state::serving) return "it is no member";
  const auto* const supervisor = state_of<supervisor_state>(of.supervisor);
  if (supervisor == nullptr || supervisor->children.size() != 1) return "it has no supervisor";
  const auto* const worker = state_of<worker_state>(supervisor->children.begin()->second.handle);
  if (worker == nullptr) return "it has no worker";
  const auto* const scheduler = state_of<scheduler_state>(head_.scheduler);
  const auto known = scheduler->workers.find(supervisor->children.begin()->first);
  if (known == scheduler->workers.end() || !known->second.has_reported())
    return "the scheduler does not know its worker";
  if (!worker->assignments.empty()) return "its worker has requests";
  if (!worker->departures.empty()) return "its worker has departures";
  if (!worker->arrivals.empty()) return "its worker has arrivals";
  if (of.engines.size() != 1) return std::to_string(of.engines.size()) + " engines";
  const auto& engine = *of.engines.front().engine;
  if (engine.n_holds() != 0) return std::to_string(engine.n_holds()) + " holds";
  if (engine.n_arrivals() != 0) return std::to_string(engine.n_arrivals()) + " reservations";
  if (engine.blocks_used() != 0) return std::to_string(engine.blocks_used()) + " blocks used";
  if (!engine.sequences().empty() || engine.status().sequences_in_transfer != 0) return "sequences";
  if (of.bulk->n_open() != 0) return std::to_string(of.bulk->n_open()) + " bulk transfers or tickets";
  if (of.node->bridge().mesh().incoming_bulk().size() != 0) return "open tickets";
  return std::nullopt;
}

}  // namespace troupe::simulator
