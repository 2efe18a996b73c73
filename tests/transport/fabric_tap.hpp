// A fabric that passes everything on and lets a test look at frames that leave, change them, and send its own.
#pragma once

#include "transport/forwarding_fabric.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace troupe::test {

class fabric_tap final : public transport::forwarding_fabric {
 public:
  using link_id = transport::link_id;

  using forwarding_fabric::forwarding_fabric;

  /// Called with each frame that leaves; it may change it. False: the frame stays here.
  std::function<bool(link_id link, wire::byte_buffer& frame)> on_send;
  /// Sends what no mesh would.
  void inject(link_id link, std::span<const std::byte> frame) {
    wire::byte_buffer copy;
    copy.append(frame);
    inner_->send(link, std::move(copy));
  }
  void inject_bulk(link_id link, const transport::bulk_header& header, std::span<const std::byte> memory) {
    inner_->send_bulk(link, header, memory, UINT64_MAX - n_injected_++);
  }

  std::size_t bulk_in_flight() const { return bulk_in_flight_; }
  std::size_t most_bulk_in_flight() const { return most_bulk_in_flight_; }

  std::string remote_host(link_id link) const override {
    return pretended_host.empty() ? inner_->remote_host(link) : pretended_host;
  }
  void send(link_id link, wire::byte_buffer frame) override {
    if (!on_send || on_send(link, frame)) inner_->send(link, std::move(frame));
  }
  void send_bulk(link_id link, const transport::bulk_header& header, std::span<const std::byte> memory,
                 std::uint64_t cookie) override {
    sizes_.emplace(cookie, memory.size());
    bulk_in_flight_ += memory.size();
    most_bulk_in_flight_ = std::max(most_bulk_in_flight_, bulk_in_flight_);
    inner_->send_bulk(link, header, memory, cookie);
  }

  std::string pretended_host;  // what remote_host() says, if anything

 private:
  void on_bulk_sent(std::uint64_t cookie, bool delivered) override {
    if (const auto found = sizes_.find(cookie); found != sizes_.end()) {
      bulk_in_flight_ -= found->second;
      sizes_.erase(found);
    }
    forwarding_fabric::on_bulk_sent(cookie, delivered);
  }

  std::map<std::uint64_t, std::size_t> sizes_;  // of bulk parts under way
  std::size_t bulk_in_flight_ = 0;
  std::size_t most_bulk_in_flight_ = 0;
  std::uint64_t n_injected_ = 0;
};

}  // namespace troupe::test
