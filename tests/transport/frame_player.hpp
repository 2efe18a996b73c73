// Plays the other side of a mesh's sessions frame by frame, without a network: what fuzzing needs to be fast.
#pragma once

#include "transport/mesh.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace troupe::test {

/// A fabric whose other end is a test: frames are delivered in the next progress(), those sent are kept.
class scripted_fabric final : public transport::fabric {
 public:
  using link_id = transport::link_id;
  std::vector<link_id> accepting;
  std::vector<std::pair<link_id, std::vector<std::byte>>> arriving;
  std::vector<std::vector<std::byte>> sent;
  std::vector<link_id> closed;

  void set_listener(transport::fabric_listener& listener) override { listener_ = &listener; }
  result<transport::address> listen(const transport::address& where) override { return where; }
  result<link_id> connect(const transport::address&) override { return link_id{~std::uint64_t{0}}; }
  std::string remote_host(link_id) const override { return "127.0.0.1"; }
  void send(link_id, wire::byte_buffer frame) override {
    if (sent.size() < 16) sent.emplace_back(frame.bytes().begin(), frame.bytes().end());
  }
  std::size_t unsent_bytes(link_id) const override { return 0; }
  void send_bulk(link_id, const transport::bulk_header&, std::span<const std::byte>, std::uint64_t) override {}
  void close(link_id link) override { closed.push_back(link); }
  void close_gently(link_id link) override { close(link); }
  bool progress() override;
  bool sleep_until(time_point) override { return false; }
  void wake() override {}

 private:
  transport::fabric_listener* listener_ = nullptr;
};

/// A mesh under attack, and the attacker's side of its present session.
class frame_player {
 public:
  /// Sealed sessions or plain ones.
  frame_player(transport::mesh_listener& listener, bool sealed);
  ~frame_player();

  /// A new link, and a session over it if asked for.
  void connect();
  void establish();
  bool up() const { return session_.has_value() && session_->up(); }
  /// A frame of the session with this payload, sealed if the session is, that counts as its next.
  std::vector<std::byte> next_frame(transport::frame_type type, std::span<const std::byte> payload);
  /// Delivers a frame. False when the mesh closed the link for it; there is no session then.
  bool deliver(std::span<const std::byte> frame);

  transport::mesh& mesh() { return *mesh_; }
  std::uint64_t n_refused() const;

 private:
  void turn();

  bool sealed_;
  time_point now_{std::chrono::seconds(1)};
  scripted_fabric* fabric_;
  std::unique_ptr<transport::mesh> mesh_;
  transport::link_id link_{0};
  std::uint64_t n_links_ = 0;
  std::optional<transport::session> session_;
};

}  // namespace troupe::test
