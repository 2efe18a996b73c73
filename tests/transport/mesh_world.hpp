// Any number of meshes over one memory network, on one thread and a virtual clock; and somebody with a bare fabric who
// is no node at all.
#pragma once

#include "fabric_tap.hpp"
#include "transport/fault_proxy.hpp"
#include "transport/memory_fabric.hpp"
#include "transport/mesh.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::test {

using std::chrono::milliseconds;

/// A node and all that its mesh has told it.
class mesh_node final : public transport::mesh_listener {
 public:
  std::string host;
  transport::address where;
  std::unique_ptr<transport::mesh> mesh;
  fabric_tap* tap = nullptr;                 // the mesh's fabric, over
  transport::fault_proxy* faults = nullptr;  // this one, over the memory network
  bool frozen = false;                       // its thread does not run

  std::vector<transport::peer_pointer> up;
  std::vector<std::pair<transport::peer_pointer, std::string>> lost;
  std::vector<std::pair<std::string, std::string>> refusals;  // who, why
  std::map<transport::node_id, std::vector<std::string>> received;
  std::function<bool(const transport::peer_pointer&, std::span<const std::byte>)> on_each;  // instead of `received`

  std::uint64_t n_refused(const std::string& reason) const;
  /// Peers that are up now.
  std::size_t n_up() const;
  bool send(const transport::peer_pointer& to, std::string_view text) {
    return mesh->send(to, std::as_bytes(std::span(text)));
  }
  const std::vector<std::string>& from(const mesh_node& other) { return received[other.mesh->self()]; }

 private:
  void on_peer_up(const transport::peer_pointer& peer) override { up.push_back(peer); }
  bool on_message(const transport::peer_pointer& from, std::span<const std::byte> message) override;
  void on_peer_lost(const transport::peer_pointer& peer, std::string_view why) override {
    lost.emplace_back(peer, std::string(why));
  }
  void on_refusal(std::string_view who, std::string_view why) override { refusals.emplace_back(who, why); }
};

/// Connects to nodes without being one: sees the bytes of frames, sends any.
class stranger final : public transport::fabric_listener {
 public:
  explicit stranger(std::unique_ptr<transport::fabric> given) : fabric(std::move(given)) {
    fabric->set_listener(*this);
  }
  std::unique_ptr<transport::fabric> fabric;
  std::vector<std::pair<transport::link_id, std::vector<std::byte>>> frames;
  std::vector<transport::link_id> lost;
  std::vector<transport::link_id> accepted;

  void send(transport::link_id link, std::span<const std::byte> frame) {
    wire::byte_buffer copy;
    copy.append(frame);
    fabric->send(link, std::move(copy));
  }

 private:
  void on_accepted(transport::link_id link) override { accepted.push_back(link); }
  void on_frame(transport::link_id link, std::span<const std::byte> frame) override {
    frames.emplace_back(link, std::vector<std::byte>(frame.begin(), frame.end()));
  }
  void on_link_lost(transport::link_id link, std::string_view) override { lost.push_back(link); }
  transport::bulk_place on_bulk_offered(transport::link_id, const transport::bulk_header&, std::size_t) override {
    return {};
  }
  void on_bulk_received(transport::link_id, const transport::bulk_header&, bool) override {}
  void on_bulk_sent(std::uint64_t, bool) override {}
};

class mesh_world {
 public:
  using change_options = std::function<void(transport::mesh_options&)>;

  explicit mesh_world(const transport::network_model& model = {.latency = milliseconds(1)})
      : network([this] { return now; }, model) {}

  time_point now{std::chrono::seconds(1000)};
  transport::memory_network network;
  std::vector<std::unique_ptr<mesh_node>> nodes;
  std::vector<std::unique_ptr<stranger>> strangers;

  /// A listening node. Its id is made of this number: smaller numbers, smaller ids. A host of 127.… is this host, where
  /// sessions are plain; others are sealed.
  mesh_node& add(const std::string& host, int number, const change_options& change = {});
  stranger& add_stranger(const std::string& host);
  /// Destroys a node as a process that exits does.
  void remove(mesh_node& node);

  void run_for(duration time);
  /// False when it did not come true in time.
  bool run_until(const std::function<bool()>& what, duration limit = std::chrono::seconds(5));
  /// Connects and demands that it works; what `from` then calls `to`.
  transport::peer_pointer connect(mesh_node& from, mesh_node& to);
  /// Why a connection came to nothing.
  std::string failure_to_connect(mesh_node& from, const transport::address& where);

 private:
  bool turn();
  time_point next_event() const;
};

transport::node_id id_of(int number);

/// A secret of tests; equal numbers, equal secrets.
std::shared_ptr<const transport::cluster_secret> secret_of(int number);

}  // namespace troupe::test
