// The registry actor, on the head: who is a member. It admits nodes, tells everybody where the others listen, and
// passes an operator's commands on. The membership protocol has the diagram.
#pragma once

#include "actors/messages.hpp"
#include "actors/protocols/membership.hpp"
#include "actors/registry/registry_store.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

struct registry_config {
  caf::actor scheduler;
  served_content content;
  std::shared_ptr<registry_store> store;
  // The transport's id of the node an actor is on; empty without a transport.
  std::function<std::vector<std::byte>(const caf::actor&)> node_of;
  std::function<void()> stop_head;  // on stop_node without a name, when all others are told
  std::size_t max_members = 1024;
};

struct registry_state {
  static inline const char* name = "registry";

  struct member {
    caf::actor handle;
    member_info info;
  };

  std::map<std::string, member_record> records;  // of all that ever were, by name
  std::map<std::string, member> members;         // by name
};

caf::behavior registry_actor(caf::stateful_actor<registry_state>* self, registry_config config);

}  // namespace troupe
