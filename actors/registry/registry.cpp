#include "actors/registry/registry.hpp"

#include "base/failpoint.hpp"
#include "runtime/observe/log.hpp"

#include <algorithm>
#include <utility>

namespace troupe {
namespace {

using registry_pointer = caf::stateful_actor<registry_state>*;
using member = registry_state::member;

members_changed list(const registry_state& state) {
  members_changed all;
  for (const auto& [name, of] : state.members)
    all.members.push_back(of.info);
  std::sort(all.members.begin(), all.members.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return all;
}

void tell_everybody(registry_pointer self) {
  const auto all = list(self->state);
  for (const auto& [name, of] : self->state.members)
    self->send(of.handle, all);
}

/// Once; tried again with each node that joins until it succeeds.
result<> load(registry_state& state, const registry_config& config) {
  if (state.loaded) return {};
  auto records = config.store->load();
  if (!records) {
    log(log_level::error, "registry", "what was known before cannot be read: " + records.error().message);
    return records.error();
  }
  state.records = *std::move(records);
  state.loaded = true;
  return {};
}

result<> save(registry_state& state, const registry_config& config, const std::string& name) {
  if (!state.unsaved.contains(name)) return {};
  auto saved = config.store->save(name, state.records[name]);
  if (saved) {
    state.unsaved.erase(name);
  } else {
    log(log_level::error, "registry", "what a restart must know is not kept: " + saved.error().message);
  }
  return saved;
}

/// The record of a node, kept; of a new one with the next number.
result<member_record> find_record(registry_state& state, const registry_config& config, const std::string& name) {
  if (auto known = load(state, config); !known) return known.error();
  const auto [record, is_new] = state.records.try_emplace(name);
  if (is_new) {
    std::uint32_t highest = 0;
    for (const auto& [other, of] : state.records)
      highest = std::max(highest, of.number);
    record->second.number = highest + 1;
    state.unsaved.insert(name);
  }
  if (auto kept = save(state, config, name); !kept) return kept.error();
  return record->second;
}

/// Why a node cannot be a member; nullopt when it can.
std::optional<join_refused> find_objection(const registry_state& state, const registry_config& config,
                                           const join_cluster& wish, const caf::actor& handle) {
  const auto refuse = [](std::string reason, bool for_good) { return join_refused{std::move(reason), for_good}; };
  if (wish.name.empty() || wish.name.size() > 64) return refuse("A node's name has 1 to 64 characters.", true);
  if (wish.content.version != config.content.version)
    return refuse("The cluster runs Troupe " + config.content.version + ", this node is " + wish.content.version +
                      "; all nodes must be of one version.",
                  true);
  if (wish.content.digest_low != config.content.digest_low || wish.content.digest_high != config.content.digest_high)
    return refuse("The cluster serves the model " + config.content.model + ", this node has " + wish.content.model +
                      " or another file of that name; all nodes must have the same file.",
                  true);
  const auto found = state.members.find(wish.name);
  if (found != state.members.end() && found->second.handle != handle)
    return refuse("A node named '" + wish.name + "' is a member already; choose another --node-name.", false);
  if (found == state.members.end() && state.members.size() >= config.max_members)
    return refuse("The cluster has all the members it can take.", false);
  return std::nullopt;
}

void join(registry_pointer self, const registry_config& config, const join_cluster& wish, const caf::actor& handle) {
  auto& state = self->state;
  if (failpoint("membership.join")) return;
  const auto refuse = [&](const join_refused& why) {
    log(log_level::warning, "registry", "a node is refused",
        {{"node", wish.name}, {"host", wish.host}, {"reason", why.reason}});
    self->send(handle, why);
  };
  if (const auto objection = find_objection(state, config, wish, handle)) return refuse(*objection);
  const auto record = find_record(state, config, wish.name);
  if (!record) return refuse({"The head cannot keep the node's number: " + record.error().message, false});
  const auto [at, joined] = state.members.try_emplace(wish.name);
  auto& info = at->second.info;
  info.number = record->number;
  info.name = wish.name;
  info.host = wish.host;
  info.process = wish.process;
  info.address = wish.address;
  info.node = config.node_of(handle);
  info.roles = wish.roles;
  info.condition = record->drained ? member_condition::draining : member_condition::serving;
  at->second.handle = handle;
  if (record->drained) self->send(config.scheduler, drain_worker{worker_id{info.number}});
  if (joined) self->monitor(handle);
  if (config.on_joined) config.on_joined(info);
  if (!failpoint("membership.joined")) self->send(handle, cluster_joined{info.number}, config.scheduler);
  log(log_level::info, "registry", "a node joined",
      {{"node", wish.name}, {"host", wish.host}, {"process", wish.process}, {"roles", roles_to_string(wish.roles)}});
  tell_everybody(self);
}

void lose(registry_pointer self, const caf::down_msg& down) {
  auto& members = self->state.members;
  const auto lost = std::find_if(members.begin(), members.end(),
                                 [&](const auto& entry) { return entry.second.handle == down.source; });
  if (lost == members.end()) return;
  log(log_level::warning, "registry", "a node is gone", {{"node", lost->first}});
  members.erase(lost);
  tell_everybody(self);
}

command_done drain(registry_pointer self, const registry_config& config, const std::string& name) {
  const auto found = self->state.members.find(name);
  if (found == self->state.members.end()) return {false, "No node is named '" + name + "'."};
  self->state.records[name].drained = true;
  self->state.unsaved.insert(name);
  const auto kept = save(self->state, config, name);
  found->second.info.condition = member_condition::draining;
  self->send(config.scheduler, drain_worker{worker_id{found->second.info.number}});
  tell_everybody(self);
  return {true, name + " takes no more requests." +
                    (kept ? "" : " A restart of the head will not know it: " + kept.error().message)};
}

command_done stop(registry_pointer self, const registry_config& config, const std::string& name) {
  auto& state = self->state;
  if (!name.empty()) {
    const auto found = state.members.find(name);
    if (found == state.members.end()) return {false, "No node is named '" + name + "'."};
    self->send(found->second.handle, stop_node{});
    return {true, name + " stops."};
  }
  for (const auto& [other, of] : state.members)
    self->send(of.handle, stop_node{});
  // After the answer to this command has left.
  if (config.stop_head) self->delayed_send(self, std::chrono::milliseconds(200), stop_head{});
  return {true, "The cluster stops."};
}

}  // namespace

caf::behavior registry_actor(caf::stateful_actor<registry_state>* self, registry_config config) {
  [[maybe_unused]] const auto loaded = load(self->state, config);
  self->set_down_handler([=](const caf::down_msg& down) { lose(self, down); });
  return {
      [=](const join_cluster& wish, const caf::actor& handle) { join(self, config, wish, handle); },
      [=](leave_cluster) {
        const auto sender = self->current_sender();
        for (const auto& [name, of] : self->state.members)
          if (of.handle == sender) {
            drain(self, config, name);
            break;
          }
      },
      [=](const drain_node& message) { return drain(self, config, message.name); },
      [=](const stop_node& message) { return stop(self, config, message.name); },
      [=](stop_head) { config.stop_head(); },
      [=](ask_status) { return list(self->state); },
  };
}

}  // namespace troupe
