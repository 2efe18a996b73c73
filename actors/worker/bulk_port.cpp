#include "actors/worker/bulk_port.hpp"

#include "transport/bridge/bridge.hpp"

#include <utility>

namespace troupe {
namespace {

class mesh_bulk_port final : public bulk_port {
 public:
  explicit mesh_bulk_port(transport::bridge& bridge) : bridge_(bridge) {}

  result<std::uint64_t> open(const caf::actor& sender, std::vector<std::span<std::byte>> places,
                             completion done) override {
    return bridge_.mesh().incoming_bulk().open(transport::bridge::node_of(sender), std::move(places), std::move(done));
  }
  void expect(std::uint64_t ticket, std::uint32_t n_parts) override {
    bridge_.mesh().incoming_bulk().expect(ticket, n_parts);
  }
  void close(std::uint64_t ticket) override { bridge_.mesh().incoming_bulk().close(ticket); }

  void send(const caf::actor& receiver, std::uint64_t ticket, std::uint32_t first_part,
            std::vector<std::span<const std::byte>> parts, completion done) override {
    auto& mesh = bridge_.mesh();
    mesh.post([&mesh, node = transport::bridge::node_of(receiver), ticket, first_part, parts = std::move(parts),
               done = std::move(done)]() mutable {
      const auto to = mesh.find_or_connect(node);
      if (!to) return done(false);
      mesh.send_bulk({to, ticket, first_part, std::move(parts), std::move(done)});
    });
  }

 private:
  transport::bridge& bridge_;
};

}  // namespace

std::shared_ptr<bulk_port> make_bulk_port(transport::bridge& bridge) {
  return std::make_shared<mesh_bulk_port>(bridge);
}

}  // namespace troupe
