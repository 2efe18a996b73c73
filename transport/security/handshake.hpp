// How two nodes come to trust each other before anything else passes between them: a mutual proof of the cluster's
// secret in four messages (handshake_messages.hpp has their bytes), and the keys of the session. One object is one side
// of one attempt. It does no I/O and knows no time: the owner carries messages, and calls refuse(timeout) when it has
// waited long enough.
//
//   initiator                                     responder
//     initiate()                                    respond()
//         |                                             |
//         v                                             v
//   awaiting_challenge  ---------- hello -------> awaiting_hello
//         |            <-------- challenge -----        |
//         v                                             v
//   awaiting_ready      ---------- proof -------> awaiting_proof
//         |            <---------- ready -------        |
//         v                                             v
//   established                                   established
//
//   any state  --refuse(), or a message that is no transition above-->  refused   answers refuse(reason)
//   any state  --a refuse received-->                                   refused   answers nothing
//   refused    --anything-->                                            refused   answers nothing, keeps its reason
//
// Each side checks, in this order, and refuses by name:
//   hello      malformed, wrong_version, wrong_cluster, self_connection, the owner's veto
//   challenge  malformed, wrong_secret, wrong_version, self_connection, the owner's veto
//   proof      malformed, wrong_secret, the owner's veto
//   ready      malformed, wrong_secret
//
// Why it holds: both MACs are over all bytes exchanged before, so changing any byte (a lower version, another address)
// changes them; their labels differ, so a side's own proof sent back to it is not the one it waits for; a fresh nonce
// of each side is in both, so that a recorded one is worth nothing. Until the other side has proven the secret it gets
// no text, only a reason's code. A hello of another version or cluster costs a parse; a whole handshake costs each side
// some 10 microseconds.
//
// What it does not do: tell members from each other (node_identity.hpp), or keep a recorded session secret from those
// who learn the cluster's secret later (session_keys.hpp). A weak secret could be guessed offline from one challenge,
// which is why cluster_secret demands 32 random bytes.
//
// Not thread-safe.
#pragma once

#include "base/result.hpp"
#include "transport/security/cluster_secret.hpp"
#include "transport/security/handshake_messages.hpp"
#include "transport/security/session_keys.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::transport {

enum class handshake_state : std::uint8_t {
  awaiting_challenge,  // initiator: hello is sent, or about to be
  awaiting_ready,      // initiator: the responder has proven itself, the proof is sent
  awaiting_hello,      // responder
  awaiting_proof,      // responder: the challenge is sent
  established,
  refused
};

std::string_view to_string(handshake_state state);

/// How much of the other side is known when the owner is asked about it.
enum class admission_moment : unsigned char {
  claimed,  // a hello said so; anybody may have sent it
  proven    // it has proven to know the secret
};

/// The owner's word on a peer: a reason refuses it. A responder asks twice, at claimed and at proven; an initiator
/// once, at proven. What costs another connection (a duplicate that replaces it) belongs into proven.
using admission = std::function<std::optional<refusal_reason>(const node_identity& peer, admission_moment moment)>;

struct handshake_options {
  node_identity self;
  std::string cluster;               // its name, any bytes but none
  std::uint16_t lowest_version = 1;  // the protocol versions spoken, 1 or more
  std::uint16_t highest_version = 1;
  admission admit;  // empty: everybody who proves the secret
};

struct handshake_refusal {
  refusal_reason reason = refusal_reason::unspecified;
  bool by_peer = false;
  std::string text;  // the refuser's own words, often none; printable ASCII
};

/// A sentence or two for a log: who refused, why, and what would be right.
std::string describe(const handshake_refusal& refusal);

struct handshake_outcome {
  std::vector<std::byte> reply;  // to be sent to the other side; at most 512 bytes, may be empty
  handshake_state state;
};

class handshake {
 public:
  /// The side that connects. `nonce`: fresh_nonce(). invalid_argument for options that no hello can carry. The secret
  /// is copied, and wiped when the handshake ends.
  static result<handshake> initiate(handshake_options options, const cluster_secret& secret,
                                    const handshake_nonce& nonce);
  /// The side that listens; it decides the session's epoch.
  static result<handshake> respond(handshake_options options, const cluster_secret& secret,
                                   const handshake_nonce& nonce, std::uint32_t epoch);

  /// The hello that an initiator sends first; empty for a responder.
  std::span<const std::byte> opening() const { return std::span(transcript_).first(opening_bytes_); }

  /// One message of the other side, whole.
  handshake_outcome take(std::span<const std::byte> message);

  /// The owner's own refusal, at any time. `text` goes to the other side only when that has proven the secret; it is
  /// cut to 200 bytes, and what is not printable ASCII becomes '?'.
  handshake_outcome refuse(refusal_reason reason, std::string_view text = {});

  handshake_state state() const { return state_; }
  bool established() const { return state_ == handshake_state::established; }
  /// Who the other side says it is; once established (or proven, see admission) it is a member that says so.
  const std::optional<node_identity>& peer() const { return peer_; }
  /// Why it was refused; nullopt in every state but refused.
  const std::optional<handshake_refusal>& refusal() const { return refusal_; }

  /// The rest only when established.
  const session_keys& keys() const;
  std::uint32_t epoch() const;
  std::uint16_t version() const;

 private:
  handshake(handshake_options options, const cluster_secret& secret, const handshake_nonce& nonce, session_end end);

  static result<handshake> make(handshake_options options, const cluster_secret& secret, const handshake_nonce& nonce,
                                session_end end);
  handshake_outcome take_hello(const security::hello_message& hello, std::span<const std::byte> message);
  handshake_outcome take_challenge(const security::challenge_message& challenge, std::span<const std::byte> message);
  handshake_outcome take_proof(std::span<const std::byte> message);
  handshake_outcome take_ready(const security::ready_message& ready, std::span<const std::byte> message);
  handshake_outcome take_refusal(const security::refuse_message& refusal);

  result<security::mac> mac(std::string_view label, std::span<const std::byte> unsigned_part) const;
  std::optional<refusal_reason> check_mac(std::string_view label, std::span<const std::byte> message) const;
  bool sign(std::string_view label, std::vector<std::byte>& message) const;
  std::optional<refusal_reason> ask_owner(admission_moment moment) const;
  void append(std::span<const std::byte> message);
  bool derive_keys();
  void end_refused(handshake_refusal refusal);

  handshake_options options_;
  secret_bytes<32> secret_;  // K; zeros once the handshake has ended
  handshake_nonce nonce_;
  session_end end_;
  handshake_state state_;
  security::cluster_hash cluster_{};
  std::vector<std::byte> transcript_;  // every message so far, of both sides
  std::size_t opening_bytes_ = 0;
  handshake_nonce peer_nonce_{};
  bool peer_is_proven_ = false;
  std::uint16_t version_ = 0;
  std::uint32_t epoch_ = 0;
  std::optional<node_identity> peer_;
  std::optional<session_keys> keys_;
  std::optional<handshake_refusal> refusal_;
};

}  // namespace troupe::transport
