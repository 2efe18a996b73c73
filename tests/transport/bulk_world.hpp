// Two meshes, one of which sends bulk memory to the other.
#pragma once

#include "base/random.hpp"
#include "catch.hpp"
#include "mesh_world.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace troupe::test {

using memory = std::vector<std::byte>;

inline memory random_memory(std::size_t size, std::uint64_t seed) {
  random_stream random(seed);
  memory made(size);
  for (auto& byte : made)
    byte = static_cast<std::byte>(random());
  return made;
}

/// Counts calls of a completion, and keeps its value.
struct completion {
  int n_calls = 0;
  bool value = false;
  std::function<void(bool)> get() {
    return [this](bool result) {
      ++n_calls;
      value = result;
    };
  }
  bool is(bool expected) const { return n_calls == 1 && value == expected; }
};

/// From a to b.
struct bulk_world {
  mesh_world world;
  mesh_node& a;
  mesh_node& b;
  transport::peer_pointer b_at_a;
  completion sent;
  completion arrived;

  explicit bulk_world(bool sealed, const transport::network_model& model = {.latency = milliseconds(1)},
                      std::size_t max_in_flight = std::size_t{64} << 20)
      : world(model),
        a(world.add(sealed ? "10.0.0.1" : "127.0.0.1", 1,
                    [=](transport::mesh_options& options) { options.max_bulk_in_flight = max_in_flight; })),
        b(world.add(sealed ? "10.0.0.2" : "127.0.0.2", 2)),
        b_at_a(world.connect(a, b)) {}

  std::uint64_t open(std::vector<std::span<std::byte>> places, int sender = 1) {
    return *b.mesh->incoming_bulk().open(id_of(sender), std::move(places), arrived.get());
  }
  void send(std::uint64_t ticket, std::vector<std::span<const std::byte>> parts, std::uint32_t first_part = 0) {
    a.mesh->send_bulk({b_at_a, ticket, first_part, std::move(parts), sent.get()});
  }
  void check_session_lives() {
    const auto n = b.from(a).size();
    a.send(b_at_a, "still here");
    world.run_for(milliseconds(5));
    CHECK(b.from(a).size() == n + 1);
  }
};

}  // namespace troupe::test
