// A bulk_port that passes everything on and keeps a list of the memory that the transport may still read or write: an
// engine whose memory is on it must not go.
#pragma once

#include "actors/worker/bulk_port.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

namespace troupe::simulator {

class watched_bulk_port final : public bulk_port {
 public:
  /// `on_call` is told of "send" and, when it is over, of "sent".
  watched_bulk_port(std::shared_ptr<bulk_port> inner, std::function<void(std::string_view)> on_call);

  result<std::uint64_t> open(const caf::actor& sender, std::vector<std::span<std::byte>> places,
                             completion done) override;
  void expect(std::uint64_t ticket, std::uint32_t n_parts) override { inner_->expect(ticket, n_parts); }
  void close(std::uint64_t ticket) override { inner_->close(ticket); }
  void send(const caf::actor& receiver, std::uint64_t ticket, std::uint32_t first_part,
            std::vector<std::span<const std::byte>> parts, completion done) override;

  /// Whether the transport may still touch any of this.
  bool uses(std::span<const std::byte> memory) const;
  std::size_t n_open() const { return in_use_->size(); }

 private:
  using spans = std::vector<std::span<const std::byte>>;
  std::uint64_t note(spans used);

  std::shared_ptr<bulk_port> inner_;
  std::function<void(std::string_view)> on_call_;
  std::uint64_t last_ = 0;
  // Shared with completions, which may outlive the port.
  std::shared_ptr<std::map<std::uint64_t, spans>> in_use_ = std::make_shared<std::map<std::uint64_t, spans>>();
};

}  // namespace troupe::simulator
