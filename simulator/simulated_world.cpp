#include "simulator/simulated_world.hpp"

#include "base/assert.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace troupe::simulator {

simulated_world::simulated_world(simulated_world_options opts)
    : options_(std::move(opts)), random_(options_.seed), network_([this] { return now_; }, options_.network) {
  (void)configure_log({log_format::text, log_level::off, {}});  // nodes die by the thousand here
  if (options_.sealed) {
    std::array<std::byte, 32> bytes;
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random_.below(256)); });
    secret_ = std::make_shared<const transport::cluster_secret>(*transport::cluster_secret::from(bytes));
  }
  nodes_.resize(1 + options_.roles.size());
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    nodes_[at].name = at == 0 ? "head" : "node-" + std::to_string(at);
    nodes_[at].host = (options_.sealed ? "10.0.0." : "127.0.0.") + std::to_string(at + 1);
    if (at > 0) nodes_[at].roles = options_.roles[at - 1];
  }
  for (const auto& from : nodes_)
    for (const auto& to : nodes_)
      network_.set_latency(
          from.host, to.host,
          options_.network.latency * (1 + static_cast<int>(random_.below(std::max(1u, options_.link_spread)))));
  start_head();
  for (std::size_t at = 1; at < nodes_.size(); ++at)
    start_worker_node(at);
}

simulated_world::~simulated_world() {
  head_ = {};
  for (auto& each : nodes_) {
    each.dying = true;
    each.member = each.supervisor = nullptr;
    each.node.reset();
  }
}

// --- clients and operators ----------------------------------------------------------------------------------------

generation_request simulated_world::make_request(std::uint32_t n_prompt, std::uint32_t max_tokens) {
  generation_request request;
  request.id = head_.service->next_request_id();
  for (std::uint32_t i = 0; i < n_prompt; ++i)
    request.prompt.push_back(static_cast<token_id>(random_.below(1000)));
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = random_();
  return request;
}

std::shared_ptr<client_stream> simulated_world::submit(const generation_request& request) {
  streams_.push_back(std::make_shared<client_stream>(observer_, request));
  head_.service->submit(request, streams_.back());
  return streams_.back();
}

void simulated_world::cancel(request_id request) {
  head_.service->cancel(request);
}

void simulated_world::migrate(request_id request, std::size_t to) {
  if (const auto worker = number(to)) caf::anon_send(head_.scheduler, migrate_request{request, *worker});
}

void simulated_world::drain(std::size_t node) {
  caf::anon_send(head_.registry, drain_node{nodes_[node].name});
}

// --- faults -------------------------------------------------------------------------------------------------------

void simulated_world::apply_cuts() {
  for (std::size_t from = 0; from < nodes_.size(); ++from)
    for (std::size_t to = 0; to < nodes_.size(); ++to) {
      if (from == to) continue;
      // What a node that has just died would still say is not said.
      const bool apart = cuts_.contains({from, to}) || without_power_.contains(from) || without_power_.contains(to) ||
                         nodes_[from].dying;
      if (apart)
        network_.cut(nodes_[from].host, nodes_[to].host);
      else
        network_.heal(nodes_[from].host, nodes_[to].host);
    }
}

void simulated_world::cut(std::size_t from, std::size_t to) {
  cuts_.insert({from, to});
  apply_cuts();
}

void simulated_world::heal(std::size_t from, std::size_t to) {
  cuts_.erase({from, to});
  apply_cuts();
}

void simulated_world::spoil_frames(const transport::fault_rates& rates) {
  for (auto& each : nodes_)
    if (each.node) each.node->faults().set_rates(rates);
}

void simulated_world::freeze(std::size_t node) {
  nodes_[node].frozen = true;
}

void simulated_world::thaw(std::size_t node) {
  world_node& at = nodes_[node];
  if (!std::exchange(at.frozen, false) || !at.node) return;
  at.node->set_time(now_);
  at.idle = false;
}

void simulated_world::crash(std::size_t node, crash_kind kind) {
  TROUPE_ASSERT(node != 0, "the head stays");
  world_node& at = nodes_[node];
  if (!at.node || at.dying) return;
  // It may be in the middle of something; the rest follows when it is not.
  at.dying = true;
  at.dies_by = kind;
  apply_cuts();
}

void simulated_world::bury(std::size_t node) {
  world_node& at = nodes_[node];
  observer_.note("crash");
  observer_.tell(node, "node", "crashes");
  observer_.note(node);
  if (at.dies_by == crash_kind::host) without_power_.insert(node);
  at.dying = false;
  apply_cuts();
  network_.crash(at.host);
  at.dying = true;
  at.member = at.supervisor = nullptr;
  at.node.reset();
  at.bulk.reset();
  at.engines.clear();
  at.dying = at.frozen = false;
}

void simulated_world::start(std::size_t node) {
  if (nodes_[node].dying) bury(node);
  if (nodes_[node].node) return;
  without_power_.erase(node);
  apply_cuts();
  start_worker_node(node);
}

void simulated_world::heal_all() {
  cuts_.clear();
  spoil_frames({});
  for (std::size_t at = 1; at < nodes_.size(); ++at) {
    if (nodes_[at].dying) bury(at);
    start(at);
    thaw(at);
  }
  apply_cuts();
}

// --- the loop -----------------------------------------------------------------------------------------------------

bool simulated_world::step() {
  for (std::size_t at = 1; at < nodes_.size(); ++at)
    if (nodes_[at].dying) bury(at);
  candidates_.clear();
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    const world_node& each = nodes_[at];
    if (!each.node || each.frozen) continue;
    if (each.node->has_job()) candidates_.emplace_back(at, action::job);
    if (!each.idle) candidates_.emplace_back(at, action::transport);
    if (std::ranges::any_of(each.engines, [&](const auto& e) { return e.driver->next_turn(now_) <= now_; }))
      candidates_.emplace_back(at, action::engine);
  }
  if (candidates_.empty()) return false;
  const auto [at, what] = candidates_[random_.below(candidates_.size())];
  act(at, what);
  return true;
}

void simulated_world::act(std::size_t node, action what) {
  world_node& at = nodes_[node];
  switch (what) {
    case action::job: {
      const auto message = observer_.begin(now_, node, at.node->choose_job(random_));
      // A hook may have killed it before it could act.
      if (at.dying) return;
      at.node->run_job();
      at.idle = false;
      if (!at.dying) observer_.end(node, message);
      return;
    }
    case action::engine:
      observer_.note(node);
      turn_engine(at);
      at.idle = false;
      return;
    case action::transport:
      observer_.note(node);
      at.idle = !at.node->turn_bridge(now_);
      return;
  }
}

void simulated_world::turn_engine(world_node& at) {
  for (std::size_t i = 0; i < at.engines.size(); ++i) {
    const auto [driver, engine] = at.engines[i];
    if (driver->next_turn(now_) > now_) continue;
    driver->turn(now_);
    if (const auto fine = engine->audit(); !fine) observer_.violate("I5: " + fine.error().message);
    return;
  }
}

void simulated_world::advance(time_point limit) {
  time_point next = limit;
  for (const auto& each : nodes_) {
    if (!each.node || each.frozen) continue;
    next = std::min(next, each.node->next_event());
    for (const auto& [driver, engine] : each.engines)
      next = std::min(next, driver->next_turn(now_));
  }
  now_ = std::min(limit, std::max(next, now_ + std::chrono::microseconds(1)));
  for (auto& each : nodes_) {
    if (!each.node || each.frozen) continue;
    each.node->set_time(now_);
    each.idle = false;
  }
}

void simulated_world::run_for(duration time) {
  const time_point end = now_ + time;
  for (;;) {
    while (step()) {
    }
    if (now_ >= end) return;
    advance(end);
  }
}

bool simulated_world::run_until(const std::function<bool()>& what, duration limit) {
  const time_point end = now_ + limit;
  for (;;) {
    do {
      if (what()) return true;
    } while (step());
    if (now_ >= end) return false;
    advance(end);
  }
}

bool simulated_world::settle(duration limit) {
  const time_point end = now_ + limit;
  for (;;) {
    while (step()) {
    }
    if (at_rest()) break;
    if (now_ >= end) break;
    advance(end);
  }
  std::string why;
  if (!at_rest(&why)) observer_.violate("I12: no rest within the limit: " + why);
  for (const auto& stream : streams_)
    if (stream->ends != 1)
      observer_.violate("I1: request " + std::to_string(stream->id.value) + " has ended " +
                        std::to_string(stream->ends) + " times");
  return violations().empty();
}

}  // namespace troupe::simulator
