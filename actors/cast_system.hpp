// The actor system of a process, with a transport if it takes part in a cluster. Include it in .cpp files only.
#pragma once

#include "actors/cluster_options.hpp"
#include "actors/messages.hpp"
#include "base/result.hpp"
#include "transport/bridge/bridge.hpp"

#include <memory>

#include <caf/all.hpp>

namespace troupe {

/// Every message that may cross the wire, by the name it has there.
transport::message_codec make_wire_codec();

class cast_system {
 public:
  /// Without a transport.
  static std::unique_ptr<cast_system> make_local();
  /// With one; listens if the options say where. Errors: unavailable (the address is taken, UCX cannot start),
  /// invalid_argument (no address, a secret that cannot be used, a bind beyond this machine without a secret).
  static result<std::unique_ptr<cast_system>> make_networked(const cluster_options& options);
  ~cast_system();

  caf::actor_system& system() { return *system_; }
  /// nullptr without a transport.
  transport::bridge* bridge() { return bridge_; }
  /// Where others reach this process; port 0 when it does not listen.
  const transport::address& listening() const { return listening_; }

 private:
  struct configuration;
  cast_system();

  std::unique_ptr<configuration> configuration_;
  std::unique_ptr<caf::actor_system> system_;
  transport::bridge* bridge_ = nullptr;
  transport::address listening_;
};

}  // namespace troupe
