// Stands for an actor of another node.
#pragma once

#include "transport/peer.hpp"

#include <memory>

#include <caf/actor_proxy.hpp>
#include <caf/all.hpp>

namespace troupe::transport {

class bridge;

class proxy final : public caf::actor_proxy {
 public:
  proxy(caf::actor_config& config, bridge& bridge, std::shared_ptr<peer> at)
      : actor_proxy(config), bridge_(bridge), at_(std::move(at)) {}

  void enqueue(caf::mailbox_element_ptr letter, caf::execution_unit* unit) override;
  // CAF calls these while it holds the mutexes of both actors: nothing in them may touch either.
  bool add_backlink(caf::abstract_actor* other) override;
  bool remove_backlink(caf::abstract_actor* other) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override { cleanup(std::move(reason), unit); }

 private:
  bridge& bridge_;
  std::shared_ptr<peer> at_;
};

}  // namespace troupe::transport
