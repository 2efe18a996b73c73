// This node's sessions with all others: connects and is connected to, shakes hands, keeps sessions alive, notices their
// end and carries messages in order. One thread turns it (progress_thread, a test, the simulator); send(), send_bulk()
// and post() may be called from any.
//
//   connect(address) ---\                                 peer is up: on_peer_up
//   on_accepted ---------- shaking --- established -----> up --- beats, messages both ways
//   find_or_connect(node) /   |  refused, too slow,         |  no sign of life for `dead_after`, link lost,
//                             |  link lost                  |  a frame that breaks the rules, bye
//                             v                             v
//                     forgotten, the caller told        on_peer_lost; its messages are gone, and so is the peer
//
// Two nodes that connect to each other at the same time keep the session that the node with the smaller id began.
//
// Liveness: a beat goes out every `beat_every`. A node whose own thread did not run for a while gives its peers that
// time back, so that a busy machine kills nobody.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "transport/bulk_receiver.hpp"
#include "transport/bulk_sender.hpp"
#include "transport/fabric.hpp"
#include "transport/mesh_counters.hpp"
#include "transport/peer.hpp"
#include "transport/security/cluster_secret.hpp"
#include "transport/session.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::transport {

using peer_pointer = std::shared_ptr<peer>;

struct mesh_options {
  node_id self;
  std::string cluster = "troupe";
  std::shared_ptr<const cluster_secret> secret;  // nullptr: none, for loopback only
  bool trusted_fabric = false;                   // frames between hosts travel plain
  std::chrono::milliseconds beat_every{200};
  std::chrono::milliseconds dead_after{1000};
  std::chrono::milliseconds handshake_limit{2000};
  std::size_t max_handshakes = 16;  // of others with us, at once
  outbox_limits outbox;
  // Of a link in the fabric; the rest waits in the outbox. Sealed bulk memory takes two chunks of it.
  std::size_t max_unsent_bytes = 4 * bulk_chunk_bytes;
  std::size_t max_bulk_in_flight = std::size_t{64} << 20;  // of a peer
  std::size_t max_addresses = 4096;                        // of other nodes, remembered
  // For nonces and tickets: fill_with_secure_random() in a live node. Without a nonce there is no handshake.
  std::function<result<>(std::span<std::byte>)> fill_random;
};

/// on_peer_lost's reason when the other side closed the session in order.
inline constexpr std::string_view said_bye = "it said bye";

class mesh_listener {
 public:
  virtual ~mesh_listener() = default;
  virtual void on_peer_up(const peer_pointer& up) = 0;
  /// The bytes are good during the call only. False: they break their form, and the session ends.
  virtual bool on_message(const peer_pointer& from, std::span<const std::byte> message) = 0;
  virtual void on_peer_lost(const peer_pointer& lost, std::string_view why) = 0;
  /// Somebody was refused, or a session ended because of what it sent.
  virtual void on_refusal(std::string_view /*who*/, std::string_view /*why*/) {}
};

class mesh final : private fabric_listener {
 public:
  mesh(std::unique_ptr<fabric> fabric, mesh_options options, mesh_listener& listener);
  ~mesh() override;

  // --- for the thread that turns it -----------------------------------------------------------------------------

  result<address> listen(const address& where);
  /// Connects to whoever listens there, in the next round. `done` gets the peer, or why there is none, once.
  void connect(const address& where, std::function<void(result<peer_pointer>)> done);
  /// Where a node can be reached.
  void learn(const node_id& node, const address& where);
  void forget(const node_id& node) { addresses_.erase(node); }
  /// The peer of a node: one there is; a new one that is being connected to, if the node's address is known (what is
  /// sent meanwhile waits); or nullptr.
  peer_pointer find_or_connect(const node_id& node);
  /// Says bye and ends the session; what is not on its way yet may be lost.
  void disconnect(const peer& whom);
  /// Says bye to everybody and ends for good: every `done` that is owed is called, nothing is sent any more. The
  /// listener is not told.
  void stop();

  /// One round: what came in, what goes out, what is due. True when something happened.
  bool poll(time_point now);
  /// Sleeps until something may have happened, at most until the next deadline.
  void sleep();
  time_point next_deadline() const { return next_tick_; }
  /// Bulk memory is on its way out: news of it comes soon.
  bool is_sending_bulk() const { return bulk_out_.any_in_flight(); }

  // --- for any thread -------------------------------------------------------------------------------------------

  /// Queues a message. False when the peer is gone, or given up now because it lets too much lie, or when the message
  /// has more than max_message_bytes.
  bool send(const peer_pointer& to, std::span<const std::byte> message);
  /// Runs a function in the next round.
  void post(std::function<void()> task);
  /// Sends memory to a ticket that the peer has opened. `done` gets true when every part was taken; until it is called,
  /// on the turning thread, the memory must stay as it is.
  void send_bulk(bulk_transfer transfer);
  bulk_receiver& incoming_bulk() { return bulk_in_; }
  const mesh_counters& counters() const { return counters_; }
  const node_id& self() const { return options_.self; }
  /// The thread that calls is the one that turns the mesh.
  void adopt_thread() { turning_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

 private:
  using connected = std::function<void(result<peer_pointer>)>;
  struct link_session {
    session state;
    connected done;                          // of connect()
    bool sealed = false;                     // as this side asks for, when it began
    bool condemned = false;                  // ends with this round: nothing of it counts any more
    bool has_last_words = false;             // a refusal or a bye that the other side should hear
    std::vector<wire::byte_buffer> replies;  // frames of the handshake
  };

  void on_accepted(link_id link) override;
  void on_frame(link_id link, std::span<const std::byte> bytes) override;
  void on_link_lost(link_id link, std::string_view why) override;
  bulk_place on_bulk_offered(link_id link, const bulk_header& header, std::size_t size) override;
  void on_bulk_received(link_id link, const bulk_header& header, bool intact) override;
  void on_bulk_sent(std::uint64_t cookie, bool delivered) override { bulk_out_.sent(cookie, delivered); }

  link_session* find(link_id link);
  session* find_up(const peer& whom);
  handshake_options options_of_handshake(std::uint8_t purpose, link_id link);
  std::optional<refusal_reason> admit(link_id link, const node_identity& who, admission_moment moment);
  result<handshake_nonce> make_nonce() const;
  bool dial_waiting();
  result<> dial(const address& where, connected& done, const peer_pointer& expected);
  void answer(connected done, const std::optional<node_id>& node, std::string_view why);

  void take_handshake(link_session& s, std::span<const std::byte> payload);
  void establish(link_session& s);
  bool take_messages(session& s, std::span<const std::byte> payload);
  bool take_message_part(session& s, std::span<const std::byte> payload);
  bool take_bulk_chunk(session& s, std::span<const std::byte> payload);
  /// Ends a session after the callbacks of this round.
  void condemn(link_id link, std::string why, bool refusal);
  void end(link_id link, std::string_view why);
  void lose(peer_pointer whom, std::string_view why);
  void give_up(const peer_pointer& whom);
  bool is_awaited(const node_id& node) const;

  void reply(link_session& s, std::span<const std::byte> payload);
  void send_frame(session& s, frame_type type, wire::byte_buffer frame);
  void send_empty(session& s, frame_type type);
  bool run_posted();
  bool send_replies();
  bool end_condemned();
  bool flush(session& s);
  bool flush_dirty();
  bool tick();
  void mark_dirty(const peer_pointer& whom);
  void announce_work();

  mesh_options options_;
  mesh_listener& listener_;
  mesh_counters counters_;
  bulk_receiver bulk_in_;
  std::unique_ptr<fabric> fabric_;
  bulk_sender bulk_out_;
  address listening_;

  std::map<link_id, link_session> sessions_;
  std::unordered_map<node_id, peer_pointer> peers_;
  std::unordered_map<const peer*, link_id> links_;  // of peers that are up
  std::unordered_map<node_id, address> addresses_;
  std::uint32_t next_epoch_;
  time_point now_{};
  time_point last_poll_{};
  time_point next_beat_{};
  time_point next_tick_{};

  // Left by the fabric's callbacks, which must not call it.
  struct dialing {
    address where;
    connected done;
    peer_pointer expected;
  };
  std::vector<dialing> dialing_;
  struct condemnation {
    link_id link;
    std::string why;
    bool refusal;
  };
  std::vector<condemnation> condemned_;
  std::vector<link_id> replying_;
  std::vector<peer_pointer> stalled_;  // their outboxes wait until the fabric has sent what it has

  // Shared with the threads that send.
  std::atomic<std::thread::id> turning_{};
  std::mutex mutex_;
  std::vector<peer_pointer> dirty_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> has_work_{false};  // dirty_ or posted_ holds something
  std::atomic<bool> sleeping_{false};
};

}  // namespace troupe::transport
