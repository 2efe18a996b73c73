// Hangs on a local actor that another node has a handle of, and tells when it ends.
#pragma once

#include "transport/peer.hpp"

#include <cstddef>
#include <functional>
#include <utility>

#include <caf/all.hpp>

namespace troupe::transport {

class remote_monitor final : public caf::attachable {
 public:
  /// Selects the monitor of one peer.
  struct token {
    const peer* of;
    static constexpr std::size_t token_type = 0x7472;  // CAF's own are small
  };

  remote_monitor(const peer* of, std::function<void(const caf::error&)> tell) : of_(of), tell_(std::move(tell)) {}

  void actor_exited(const caf::error& reason, caf::execution_unit*) override { tell_(reason); }
  bool matches(const caf::attachable::token& what) override {
    return what.subtype == token::token_type && static_cast<const token*>(what.ptr)->of == of_;
  }

 private:
  const peer* of_;
  std::function<void(const caf::error&)> tell_;
};

}  // namespace troupe::transport
