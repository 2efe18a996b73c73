// A fabric that passes everything on and lets a test look at frames that leave, change them, and send its own.
#pragma once

#include "transport/fabric.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace troupe::test {

class fabric_tap final : public transport::fabric {
 public:
  using link_id = transport::link_id;

  explicit fabric_tap(std::unique_ptr<transport::fabric> inner) : inner_(std::move(inner)) {}

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

  void set_listener(transport::fabric_listener& listener) override {
    counter_.to = &listener;
    counter_.of = this;
    inner_->set_listener(counter_);
  }
  result<transport::address> listen(const transport::address& where) override { return inner_->listen(where); }
  result<link_id> connect(const transport::address& where) override { return inner_->connect(where); }
  std::string remote_host(link_id link) const override {
    return pretended_host.empty() ? inner_->remote_host(link) : pretended_host;
  }
  void send(link_id link, wire::byte_buffer frame) override {
    if (!on_send || on_send(link, frame)) inner_->send(link, std::move(frame));
  }
  std::size_t unsent_bytes(link_id link) const override { return inner_->unsent_bytes(link); }
  void send_bulk(link_id link, const transport::bulk_header& header, std::span<const std::byte> memory,
                 std::uint64_t cookie) override {
    sizes_.emplace(cookie, memory.size());
    bulk_in_flight_ += memory.size();
    most_bulk_in_flight_ = std::max(most_bulk_in_flight_, bulk_in_flight_);
    inner_->send_bulk(link, header, memory, cookie);
  }
  void close(link_id link) override { inner_->close(link); }
  void close_gently(link_id link) override { inner_->close_gently(link); }
  bool progress() override { return inner_->progress(); }
  bool sleep_until(time_point when) override { return inner_->sleep_until(when); }
  void wake() override { inner_->wake(); }

  std::string pretended_host;  // what remote_host() says, if anything

 private:
  struct counter final : transport::fabric_listener {
    transport::fabric_listener* to = nullptr;
    fabric_tap* of = nullptr;
    void on_accepted(link_id link) override { to->on_accepted(link); }
    void on_frame(link_id link, std::span<const std::byte> frame) override { to->on_frame(link, frame); }
    void on_link_lost(link_id link, std::string_view why) override { to->on_link_lost(link, why); }
    transport::bulk_place on_bulk_offered(link_id link, const transport::bulk_header& header,
                                          std::size_t size) override {
      return to->on_bulk_offered(link, header, size);
    }
    void on_bulk_received(link_id link, const transport::bulk_header& header, bool intact) override {
      to->on_bulk_received(link, header, intact);
    }
    void on_bulk_sent(std::uint64_t cookie, bool delivered) override {
      if (const auto found = of->sizes_.find(cookie); found != of->sizes_.end()) {
        of->bulk_in_flight_ -= found->second;
        of->sizes_.erase(found);
      }
      to->on_bulk_sent(cookie, delivered);
    }
  };

  std::unique_ptr<transport::fabric> inner_;
  counter counter_;
  std::map<std::uint64_t, std::size_t> sizes_;  // of bulk parts under way
  std::size_t bulk_in_flight_ = 0;
  std::size_t most_bulk_in_flight_ = 0;
  std::uint64_t n_injected_ = 0;
};

}  // namespace troupe::test
