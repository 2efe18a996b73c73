// CAF over a mesh: a remote actor is an ordinary handle that can be sent to, asked, monitored and linked, and that goes
// down when its node is lost.
//
// A letter is what one actor sends to another; the others keep handles honest. All begin with the same 32 bytes:
//
//   offset  bytes
//        0      1  kind (bridge.cpp)
//        1      1  flags: 1 = a path of handles precedes the content (requests to composed actors), 2 = an exit message
//                  that the end of a linked actor (the source) sends, not somebody, 4 = the sender is of another node
//                  than the one that sends (delegated requests): its handle comes first of all
//        2      6  0
//        8      8  message id: CAF's, which pairs a response with its request
//       16      8  source: id of the sending actor, 0 for nobody
//       24      8  target: id of the receiving actor
//       32         the content (message_codec.hpp); of resolve and resolved a string, of down an error
//
//   letter     source -> target
//   monitor    tell me when target ends           -> down, now or then
//   link, unlink   source and target are (no longer) linked
//   resolve    which actor is published under this name? (message id: the asker's number) -> resolved (source: its id)
//
// Actors that a frame wakes run on the progress thread, for as long as its time budget lasts: a hand-over to another
// thread costs more than the wire. So they must be short; what computes belongs to a thread of its own.
//
// An actor that others have a handle of lives until it quits, and must have quit before its system ends: CAF crashes
// over those that are left, which is why a system waits for them unless told not to.
#pragma once

#include "transport/bridge/inline_unit.hpp"
#include "transport/bridge/message_codec.hpp"
#include "transport/bridge/requests_in_flight.hpp"
#include "transport/mesh.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <caf/all.hpp>

// CAF 0.17 befriends this class and neither defines nor exports it; defining it is the only way to give a system a node
// id of one's own without loading caf_io.
namespace caf::net {
class middleman : public actor_system::module {
 public:
  id_t id() const override { return network_manager; }

 protected:
  static void assign_node(actor_system& system, node_id node) { system.node_.swap(node); }
};
}  // namespace caf::net

namespace troupe::transport {

struct bridge_options {
  mesh_options mesh;  // its self is filled in
  std::function<result<std::unique_ptr<fabric>>()> make_fabric;
  message_codec codec;
  // How long the progress thread polls after the last event before it sleeps; 0 where no core is to spare.
  std::chrono::microseconds spin{0};
  // How long actors may run on the progress thread in one round; what is left goes to CAF's own threads. Negative: none
  // runs here, so that no real clock has a say in who runs when.
  std::chrono::microseconds inline_budget{200};
  bool own_thread = true;  // false: somebody calls turn()
  // Told of refusals and lost peers, on the turning thread.
  std::function<void(std::string_view event, std::string_view who, std::string_view why)> on_event;
};

class bridge final : public caf::net::middleman, private mesh_listener, private handle_codec {
 public:
  /// Makes the systems of this configuration have a bridge. Call before the system is made; the options are shared.
  static void install(caf::actor_system_config& config, std::shared_ptr<bridge_options> options);
  static bridge& of(caf::actor_system& system);

  ~bridge() override;

  /// Errors: unavailable (the address is taken).
  result<address> listen(const address& where);
  /// Makes an actor known by name to the nodes that are connected.
  void publish(const std::string& name, const caf::actor& actor);
  /// Connects, if need be, and asks for a published actor. `done` runs on the turning thread.
  void resolve(const address& where, const std::string& name, std::function<void(result<caf::actor>)> done);
  /// Where a node listens, for handles of actors there that come from a third node.
  void learn(const node_id& node, const address& where);
  void disconnect(const node_id& node);

  /// The node of a local or remote actor.
  static node_id node_of(const caf::actor& actor) { return to_node_id(actor.node()); }

  transport::mesh& mesh() { return *mesh_; }
  /// For what the mesh's callbacks enqueue: it runs on the turning thread, as what frames wake does.
  caf::execution_unit* unit() { return &unit_; }
  const node_id& self() const override { return self_; }

  /// One round of the mesh and of the actors it woke. True when something happened. For own_thread == false.
  bool turn(time_point now);

  // caf::actor_system::module
  void start() override;
  void stop() override;
  void init(caf::actor_system_config&) override;
  void* subtype_ptr() override { return static_cast<caf::net::middleman*>(this); }

 private:
  friend class proxy;
  using proxies = std::unordered_map<std::uint64_t, caf::strong_actor_ptr>;
  struct resolving {
    peer_pointer at;
    std::function<void(result<caf::actor>)> done;
  };

  bridge(caf::actor_system& system, std::shared_ptr<bridge_options> options);

  // mesh_listener
  void on_peer_up(const peer_pointer&) override {}
  bool on_message(const peer_pointer& from, std::span<const std::byte> message) override;
  void on_peer_lost(const peer_pointer& lost, std::string_view why) override;
  void on_refusal(std::string_view who, std::string_view why) override;

  // handle_codec
  void expose(const caf::strong_actor_ptr& local) override;
  caf::strong_actor_ptr resolve(const node_id& node, std::uint64_t id) override;

  caf::strong_actor_ptr find_or_make_proxy(const peer_pointer& at, std::uint64_t id);
  caf::strong_actor_ptr find_local(std::uint64_t id) { return system_.registry().get(static_cast<caf::actor_id>(id)); }

  void detach_monitors(const peer* by, const std::unordered_set<std::uint64_t>& actors);
  bool has_proxy(const peer_pointer& at, std::uint64_t id) const;

  // For proxies, on any thread. `ended`: the local actor whose end this exit message tells, or 0.
  void send_letter(const peer_pointer& to, std::uint64_t target, caf::mailbox_element& letter, std::uint64_t ended);
  void send_link(const peer_pointer& to, bool link, caf::strong_actor_ptr local, std::uint64_t remote);

  struct message_head;
  void send(const peer_pointer& to, const message_head& head, std::span<const std::byte> content = {});
  void send_text(const peer_pointer& to, const message_head& head, const std::string& text);
  bool encode_letter(const peer_pointer& to, const caf::mailbox_element& letter, wire::byte_buffer& out);
  void refuse_letter(const peer_pointer& to, const message_head& head, const caf::strong_actor_ptr& sender,
                     std::string_view why);
  void take_letter(const peer_pointer& from, const message_head& head, std::span<const std::byte> content);
  struct decoded_letter;
  std::string decode_letter(const peer_pointer& from, const message_head& head, std::span<const std::byte> content,
                            decoded_letter& letter);
  void take_monitor(const peer_pointer& from, std::uint64_t target);
  void take_link(const peer_pointer& from, const message_head& head);
  void take_down(const peer_pointer& from, std::uint64_t id, std::span<const std::byte> content);
  void take_resolve(const peer_pointer& from, const message_head& head, std::span<const std::byte> content);
  void take_resolved(const peer_pointer& from, const message_head& head);
  void ask(const peer_pointer& at, const std::string& name, std::function<void(result<caf::actor>)> done);
  void run();

  caf::actor_system& system_;
  std::shared_ptr<bridge_options> options_;
  node_id self_;
  const std::uint64_t instance_;  // of all that this process has had
  inline_unit unit_;
  requests_in_flight requests_;
  std::unordered_map<const peer*, proxies> proxies_;  // of the turning thread, as the next three
  std::unordered_map<const peer*, std::unordered_set<std::uint64_t>> monitored_;  // local actors, by whom
  std::unordered_map<std::uint64_t, resolving> resolving_;
  std::uint64_t next_question_ = 1;
  std::mutex names_mutex_;
  std::unordered_map<std::string, caf::actor> names_;
  std::unique_ptr<transport::mesh> mesh_;
  std::thread thread_;
  std::atomic<bool> running_{false};
};

}  // namespace troupe::transport
