// The registry actor, on the head: who is a member. It admits nodes, tells everybody where the others listen, and
// passes an operator's commands on. The membership protocol has the diagram.
//
// A number is given when it is kept and not before, so that it is never given twice: while the store fails, names that
// it does not have yet are refused for now, and all others go on. The store's calls may block; spawn it detached.
#pragma once

#include "actors/messages.hpp"
#include "actors/protocols/membership.hpp"
#include "actors/registry/registry_store.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace troupe {

struct registry_config {
  caf::actor scheduler;
  served_content content;
  std::shared_ptr<registry_store> store;
  // The transport's id of the node an actor is on; empty without a transport.
  std::function<std::vector<std::byte>(const caf::actor&)> node_of;
  std::function<void()> stop_head;                         // on stop_node without a name, when all others are told
  std::function<void(const member_info& of)> on_joined{};  // may be empty
  std::size_t max_members = 1024;
};

struct registry_state {
  static inline const char* name = "registry";

  struct member {
    caf::actor handle;
    member_info info;
  };

  // First, since CAF would make an aggregate that begins with a bool from the actor's address (C++20's parentheses).
  std::map<std::string, member_record> records;  // of all that ever were, by name
  std::set<std::string> unsaved;                 // of those, what the store does not have; a number stays its name's
  std::map<std::string, member> members;         // by name
  bool loaded = false;                           // what the store knows is in `records`
};

caf::behavior registry_actor(caf::stateful_actor<registry_state>* self, registry_config config);

}  // namespace troupe
