#include "transport/security/handshake_messages.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <string_view>

namespace troupe::transport::security {
namespace {

constexpr std::array<std::byte, 3> magic = {std::byte{'T'}, std::byte{'R'}, std::byte{'H'}};

// The wire's numbers of the messages, in the order of handshake_message's alternatives.
enum class message_type : std::uint8_t { hello = 1, challenge = 2, proof = 3, ready = 4, refuse = 5 };

class writer {
 public:
  explicit writer(message_type type) {
    bytes(magic);
    number<1>(static_cast<std::uint8_t>(type));
  }

  template <std::size_t Width>
  void number(std::uint64_t value) {
    for (std::size_t i = 0; i < Width; ++i)
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void bytes(std::span<const std::byte> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  void text(std::string_view text) {
    number<1>(text.size());
    bytes(std::as_bytes(std::span(text)));
  }
  void identity(const node_identity& node) {
    TROUPE_ASSERT(node.address.size() <= longest_address && is_printable(node.address, '!'),
                  "an address that may not be sent");
    bytes(node.id);
    number<1>(node.purpose);
    text(node.address);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Reads fields from the front. Past the end it gives zeros and is bad from then on.
class reader {
 public:
  explicit reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <std::size_t N>
  std::array<std::byte, N> bytes() {
    std::array<std::byte, N> out{};
    std::ranges::copy(next(N), out.begin());
    return out;
  }
  template <std::size_t Width>
  std::uint32_t number() {
    std::uint32_t value = 0;
    for (std::size_t i = 0; const std::byte byte : bytes<Width>())
      value |= static_cast<std::uint32_t>(byte) << (8 * i++);
    return value;
  }
  std::string text(std::size_t longest, char first) {
    const std::size_t size = number<1>();
    good_ = good_ && size <= longest;
    const auto found = next(size);
    std::string text(reinterpret_cast<const char*>(found.data()), found.size());
    good_ = good_ && is_printable(text, first);
    return text;
  }
  node_identity identity() {
    node_identity node;
    node.id = bytes<24>();
    node.purpose = static_cast<std::uint8_t>(number<1>());
    node.address = text(longest_address, '!');
    return node;
  }
  /// Every byte was read, and none was missing.
  bool is_done() const { return good_ && rest_.empty(); }

 private:
  std::span<const std::byte> next(std::size_t n) {
    good_ = good_ && n <= rest_.size();
    if (!good_) return {};
    const auto found = rest_.first(n);
    rest_ = rest_.subspan(n);
    return found;
  }

  std::span<const std::byte> rest_;
  bool good_ = true;
};

void put(writer& out, const hello_message& message) {
  out.number<2>(message.lowest_version);
  out.number<2>(message.highest_version);
  out.bytes(message.nonce);
  out.bytes(message.cluster);
  out.identity(message.sender);
}

void put(writer& out, const challenge_message& message) {
  out.number<2>(message.version);
  out.bytes(message.nonce);
  out.identity(message.sender);
  out.bytes(message.proof);
}

void put(writer& out, const proof_message& message) {
  out.bytes(message.proof);
}

void put(writer& out, const ready_message& message) {
  out.number<4>(message.epoch);
  out.bytes(message.proof);
}

void put(writer& out, const refuse_message& message) {
  TROUPE_ASSERT(message.text.size() <= longest_refusal_text && is_printable(message.text, ' '),
                "a refusal's text that may not be sent");
  out.number<1>(static_cast<std::uint8_t>(message.reason));
  out.text(message.text);
}

// The braces of an initialiser are evaluated from left to right, which is the order of the wire.
std::optional<handshake_message> read_fields(message_type type, reader& in) {
  switch (type) {
    case message_type::hello: {
      hello_message message{static_cast<std::uint16_t>(in.number<2>()), static_cast<std::uint16_t>(in.number<2>()),
                            in.bytes<32>(), in.bytes<16>(), in.identity()};
      if (message.lowest_version < 1 || message.highest_version < message.lowest_version) return std::nullopt;
      return message;
    }
    case message_type::challenge: {
      challenge_message message{static_cast<std::uint16_t>(in.number<2>()), in.bytes<32>(), in.identity(),
                                in.bytes<mac_bytes>()};
      if (message.version < 1) return std::nullopt;
      return message;
    }
    case message_type::proof:
      return proof_message{in.bytes<mac_bytes>()};
    case message_type::ready:
      return ready_message{in.number<4>(), in.bytes<mac_bytes>()};
    case message_type::refuse:
      return refuse_message{refusal_reason_of(static_cast<std::uint8_t>(in.number<1>())),
                            in.text(longest_refusal_text, ' ')};
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::byte> encode(const handshake_message& message) {
  writer out(static_cast<message_type>(message.index() + 1));
  std::visit([&](const auto& alternative) { put(out, alternative); }, message);
  return out.take();
}

std::optional<handshake_message> parse_handshake_message(std::span<const std::byte> bytes) {
  if (bytes.size() > longest_handshake_message) return std::nullopt;
  reader in(bytes);
  if (in.bytes<magic.size()>() != magic) return std::nullopt;
  const auto type = static_cast<message_type>(in.number<1>());
  auto message = read_fields(type, in);
  return in.is_done() ? std::move(message) : std::nullopt;
}

bool is_printable(std::string_view text, char first) {
  return std::ranges::all_of(text, [first](char c) { return c >= first && c <= '~'; });
}

}  // namespace troupe::transport::security
