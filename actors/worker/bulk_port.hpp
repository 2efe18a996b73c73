// How a worker moves blocks of K and V to and from other workers: bulk memory between actors. A real one goes over the
// transport; within a process, and in the simulator, bytes are copied.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <caf/all.hpp>

namespace troupe {

namespace transport {
class bridge;
}

class bulk_port {
 public:
  using completion = std::function<void(bool whole)>;
  virtual ~bulk_port() = default;

  /// Places for parts 0, 1, 2, … that `sender` may fill. `done` is called once, on any thread; until then the places
  /// must stay.
  virtual result<std::uint64_t> open(const caf::actor& sender, std::vector<std::span<std::byte>> places,
                                     completion done) = 0;
  /// No part from n_parts on will come.
  virtual void expect(std::uint64_t ticket, std::uint32_t n_parts) = 0;
  virtual void close(std::uint64_t ticket) = 0;
  /// Fills parts of a ticket that `receiver` has opened. `done` is called once, on any thread; until then the memory
  /// must stay.
  virtual void send(const caf::actor& receiver, std::uint64_t ticket, std::uint32_t first_part,
                    std::vector<std::span<const std::byte>> parts, completion done) = 0;
};

/// Over the transport. The bridge must outlive it.
std::shared_ptr<bulk_port> make_bulk_port(transport::bridge& bridge);

}  // namespace troupe
