#include "transport/security/handshake.hpp"

#include "base/assert.hpp"
#include "transport/security/digest.hpp"

#include <algorithm>
#include <utility>

namespace troupe::transport {

using namespace security;

namespace {

constexpr std::string_view server_label = "troupe server";
constexpr std::string_view client_label = "troupe client";
constexpr std::string_view ready_label = "troupe ready";

// Two addresses of 255 bytes.
constexpr std::size_t longest_transcript = (82 + 255) + (96 + 255) + 36 + 40;

std::string printable(std::string_view text) {
  std::string out(text.substr(0, longest_refusal_text));
  std::ranges::replace_if(
      out,
      [](char c) {
        return !is_printable({&c, 1}, ' ');
      },
      '?');
  return out;
}

result<> check_options(const handshake_options& options, const handshake_nonce& nonce) {
  if (options.self.address.size() > longest_address)
    return make_error(errc::invalid_argument, "The listening address has " +
                                                  std::to_string(options.self.address.size()) +
                                                  " bytes; a handshake carries at most 255.");
  if (!is_printable(options.self.address, '!'))
    return make_error(errc::invalid_argument, "The listening address must be printable ASCII without spaces.");
  if (options.cluster.empty())
    return make_error(errc::invalid_argument, "The cluster has no name; it needs one, the same on all its nodes.");
  if (options.lowest_version < 1 || options.highest_version < options.lowest_version)
    return make_error(errc::invalid_argument, "The protocol versions " + std::to_string(options.lowest_version) +
                                                  " to " + std::to_string(options.highest_version) +
                                                  " are no range; the lowest is 1 or more and not above the highest.");
  if (nonce == handshake_nonce{})
    return make_error(errc::invalid_argument, "The handshake's nonce is all zeros; it must be 32 fresh random bytes.");
  return {};
}

}  // namespace

std::string_view to_string(handshake_state state) {
  switch (state) {
    case handshake_state::awaiting_challenge:
      return "awaiting_challenge";
    case handshake_state::awaiting_ready:
      return "awaiting_ready";
    case handshake_state::awaiting_hello:
      return "awaiting_hello";
    case handshake_state::awaiting_proof:
      return "awaiting_proof";
    case handshake_state::established:
      return "established";
    case handshake_state::refused:
      return "refused";
  }
  return "unknown";
}

std::string describe(const handshake_refusal& refusal) {
  std::string out = refusal.by_peer ? "The other node refused: " : "This node refused: ";
  out += to_string(refusal.reason);
  out += ". ";
  out += describe(refusal.reason);
  if (!refusal.text.empty()) out += " (" + refusal.text + ")";
  return out;
}

handshake::handshake(handshake_options options, const cluster_secret& secret, const handshake_nonce& nonce,
                     session_end end)
    : options_(std::move(options)),
      secret_(secret.key()),
      nonce_(nonce),
      end_(end),
      state_(end == session_end::initiator ? handshake_state::awaiting_challenge : handshake_state::awaiting_hello) {
  transcript_.reserve(longest_transcript);
}

result<handshake> handshake::make(handshake_options options, const cluster_secret& secret, const handshake_nonce& nonce,
                                  session_end end) {
  if (const auto checked = check_options(options, nonce); !checked) return checked.error();
  const auto hash = sha256(bytes_of(options.cluster));
  if (!hash) return hash.error();
  handshake made(std::move(options), secret, nonce, end);
  std::copy_n(hash->begin(), made.cluster_.size(), made.cluster_.begin());
  return made;
}

result<handshake> handshake::initiate(handshake_options options, const cluster_secret& secret,
                                      const handshake_nonce& nonce) {
  auto made = make(std::move(options), secret, nonce, session_end::initiator);
  if (!made) return made;
  const handshake_options& own = made->options_;
  made->append(encode(hello_message{own.lowest_version, own.highest_version, nonce, made->cluster_, own.self}));
  made->opening_bytes_ = made->transcript_.size();
  return made;
}

result<handshake> handshake::respond(handshake_options options, const cluster_secret& secret,
                                     const handshake_nonce& nonce, std::uint32_t epoch) {
  auto made = make(std::move(options), secret, nonce, session_end::responder);
  if (made) made->epoch_ = epoch;
  return made;
}

handshake_outcome handshake::take(std::span<const std::byte> message) {
  if (state_ == handshake_state::refused) return {{}, state_};  // silence, or two refusing sides would never stop
  const auto parsed = parse_handshake_message(message);
  if (!parsed) return refuse(refusal_reason::malformed);
  if (const auto* refusal = std::get_if<refuse_message>(&*parsed)) return take_refusal(*refusal);
  switch (state_) {
    case handshake_state::awaiting_hello:
      if (const auto* hello = std::get_if<hello_message>(&*parsed)) return take_hello(*hello, message);
      break;
    case handshake_state::awaiting_challenge:
      if (const auto* challenge = std::get_if<challenge_message>(&*parsed)) return take_challenge(*challenge, message);
      break;
    case handshake_state::awaiting_proof:
      if (std::holds_alternative<proof_message>(*parsed)) return take_proof(message);
      break;
    case handshake_state::awaiting_ready:
      if (const auto* ready = std::get_if<ready_message>(&*parsed)) return take_ready(*ready, message);
      break;
    case handshake_state::established:
    case handshake_state::refused:
      break;
  }
  return refuse(refusal_reason::unexpected_message);
}

handshake_outcome handshake::take_hello(const hello_message& hello, std::span<const std::byte> message) {
  const std::uint16_t lowest = std::max(hello.lowest_version, options_.lowest_version);
  const std::uint16_t highest = std::min(hello.highest_version, options_.highest_version);
  if (lowest > highest) return refuse(refusal_reason::wrong_version);
  if (hello.cluster != cluster_) return refuse(refusal_reason::wrong_cluster);
  if (hello.sender.id == options_.self.id) return refuse(refusal_reason::self_connection);
  peer_ = hello.sender;
  peer_nonce_ = hello.nonce;
  version_ = highest;
  if (const auto veto = ask_owner(admission_moment::claimed)) return refuse(*veto);
  append(message);
  std::vector<std::byte> challenge = encode(challenge_message{version_, nonce_, options_.self, {}});
  if (!sign(server_label, challenge)) return refuse(refusal_reason::internal_error);
  append(challenge);
  state_ = handshake_state::awaiting_proof;
  return {std::move(challenge), state_};
}

handshake_outcome handshake::take_challenge(const challenge_message& challenge, std::span<const std::byte> message) {
  if (const auto wrong = check_mac(server_label, message)) return refuse(*wrong);
  peer_is_proven_ = true;
  if (challenge.version < options_.lowest_version || challenge.version > options_.highest_version)
    return refuse(refusal_reason::wrong_version);
  if (challenge.sender.id == options_.self.id) return refuse(refusal_reason::self_connection);
  peer_ = challenge.sender;
  peer_nonce_ = challenge.nonce;
  version_ = challenge.version;
  if (const auto veto = ask_owner(admission_moment::proven)) return refuse(*veto);
  append(message);
  std::vector<std::byte> proof = encode(proof_message{});
  if (!sign(client_label, proof)) return refuse(refusal_reason::internal_error);
  append(proof);
  state_ = handshake_state::awaiting_ready;
  return {std::move(proof), state_};
}

handshake_outcome handshake::take_proof(std::span<const std::byte> message) {
  if (const auto wrong = check_mac(client_label, message)) return refuse(*wrong);
  peer_is_proven_ = true;
  if (const auto veto = ask_owner(admission_moment::proven)) return refuse(*veto);
  append(message);
  std::vector<std::byte> ready = encode(ready_message{epoch_, {}});
  if (!sign(ready_label, ready)) return refuse(refusal_reason::internal_error);
  append(ready);
  if (!derive_keys()) return refuse(refusal_reason::internal_error);
  state_ = handshake_state::established;
  return {std::move(ready), state_};
}

handshake_outcome handshake::take_ready(const ready_message& ready, std::span<const std::byte> message) {
  if (const auto wrong = check_mac(ready_label, message)) return refuse(*wrong);
  epoch_ = ready.epoch;
  append(message);
  if (!derive_keys()) return refuse(refusal_reason::internal_error);
  state_ = handshake_state::established;
  return {{}, state_};
}

handshake_outcome handshake::take_refusal(const refuse_message& refusal) {
  // Words of somebody who has proven nothing do not reach the log.
  end_refused({refusal.reason, true, peer_is_proven_ ? refusal.text : std::string()});
  return {{}, state_};
}

handshake_outcome handshake::refuse(refusal_reason reason, std::string_view text) {
  if (state_ == handshake_state::refused) return {{}, state_};
  std::string words = printable(text);
  std::vector<std::byte> message = encode(refuse_message{reason, peer_is_proven_ ? words : std::string()});
  end_refused({reason, false, std::move(words)});
  return {std::move(message), state_};
}

const session_keys& handshake::keys() const {
  TROUPE_ASSERT(established(), "keys() of a handshake that is not established");
  return *keys_;
}

std::uint32_t handshake::epoch() const {
  TROUPE_ASSERT(established(), "epoch() of a handshake that is not established");
  return epoch_;
}

std::uint16_t handshake::version() const {
  TROUPE_ASSERT(established(), "version() of a handshake that is not established");
  return version_;
}

// HMAC-SHA256(K, label || transcript || what this message has before its MAC).
result<mac> handshake::mac(std::string_view label, std::span<const std::byte> unsigned_part) const {
  const auto label_bytes = bytes_of(label);
  std::vector<std::byte> covered;
  covered.reserve(label.size() + transcript_.size() + unsigned_part.size());
  covered.insert(covered.end(), label_bytes.begin(), label_bytes.end());
  covered.insert(covered.end(), transcript_.begin(), transcript_.end());
  covered.insert(covered.end(), unsigned_part.begin(), unsigned_part.end());
  return hmac_sha256(secret_.bytes(), covered);
}

// nullopt: the MAC at the message's end is right.
std::optional<refusal_reason> handshake::check_mac(std::string_view label, std::span<const std::byte> message) const {
  const auto expected = mac(label, message.first(message.size() - mac_bytes));
  if (!expected) return refusal_reason::internal_error;
  if (!equal_in_constant_time(*expected, message.last<mac_bytes>())) return refusal_reason::wrong_secret;
  return std::nullopt;
}

// Writes the MAC into the room left for it at the message's end.
bool handshake::sign(std::string_view label, std::vector<std::byte>& message) const {
  const auto room = std::span(message).last<mac_bytes>();
  const auto computed = mac(label, std::span(message).first(message.size() - mac_bytes));
  if (computed) std::ranges::copy(*computed, room.begin());
  return computed.has_value();
}

std::optional<refusal_reason> handshake::ask_owner(admission_moment moment) const {
  return options_.admit ? options_.admit(*peer_, moment) : std::nullopt;
}

void handshake::append(std::span<const std::byte> message) {
  TROUPE_ASSERT(transcript_.size() + message.size() <= longest_transcript, "a handshake with more than four messages");
  transcript_.insert(transcript_.end(), message.begin(), message.end());
}

bool handshake::derive_keys() {
  const bool initiator = end_ == session_end::initiator;
  auto keys = derive_session_keys(secret_.bytes(), initiator ? nonce_ : peer_nonce_, initiator ? peer_nonce_ : nonce_,
                                  transcript_, end_);
  secret_.wipe();
  if (keys) keys_ = *std::move(keys);
  return keys.has_value();
}

void handshake::end_refused(handshake_refusal refusal) {
  refusal_ = std::move(refusal);
  secret_.wipe();
  keys_.reset();
  state_ = handshake_state::refused;
}

}  // namespace troupe::transport
