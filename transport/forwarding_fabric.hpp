// A fabric over another one that passes everything on, both ways: what looks at traffic, or spoils it, overrides what
// it is about.
#pragma once

#include "transport/fabric.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::transport {

class forwarding_fabric : public fabric, protected fabric_listener {
 public:
  explicit forwarding_fabric(std::unique_ptr<fabric> inner) : inner_(std::move(inner)) {}

  void set_listener(fabric_listener& listener) override {
    listener_ = &listener;
    inner_->set_listener(*this);
  }
  result<address> listen(const address& where) override { return inner_->listen(where); }
  result<link_id> connect(const address& where) override { return inner_->connect(where); }
  std::string remote_host(link_id link) const override { return inner_->remote_host(link); }
  void send(link_id link, wire::byte_buffer frame) override { inner_->send(link, std::move(frame)); }
  std::size_t unsent_bytes(link_id link) const override { return inner_->unsent_bytes(link); }
  void send_bulk(link_id link, const bulk_header& header, std::span<const std::byte> memory,
                 std::uint64_t cookie) override {
    inner_->send_bulk(link, header, memory, cookie);
  }
  void close(link_id link) override { inner_->close(link); }
  void close_gently(link_id link) override { inner_->close_gently(link); }
  bool progress() override { return inner_->progress(); }
  bool sleep_until(time_point when) override { return inner_->sleep_until(when); }
  void wake() override { inner_->wake(); }

 protected:
  void on_accepted(link_id link) override { listener_->on_accepted(link); }
  void on_frame(link_id link, std::span<const std::byte> frame) override { listener_->on_frame(link, frame); }
  void on_link_lost(link_id link, std::string_view why) override { listener_->on_link_lost(link, why); }
  bulk_place on_bulk_offered(link_id link, const bulk_header& header, std::size_t size) override {
    return listener_->on_bulk_offered(link, header, size);
  }
  void on_bulk_received(link_id link, const bulk_header& header, bool intact) override {
    listener_->on_bulk_received(link, header, intact);
  }
  void on_bulk_sent(std::uint64_t cookie, bool delivered) override { listener_->on_bulk_sent(cookie, delivered); }

  std::unique_ptr<fabric> inner_;
  fabric_listener* listener_ = nullptr;
};

}  // namespace troupe::transport
