// The bytes of each message: there and back, every bound from both sides.
#include "transport/security/handshake_messages.hpp"

#include "catch.hpp"
#include "handshake_pair.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::transport::security;
using namespace troupe::test;

namespace {

node_identity some_node(std::size_t address_size) {
  node_identity node;
  node.id.fill(std::byte{0xab});
  node.address.assign(address_size, 'a');
  node.purpose = 200;
  return node;
}

mac some_mac() {
  mac bytes;
  bytes.fill(std::byte{0xcd});
  return bytes;
}

std::vector<handshake_message> some_messages(std::size_t address_size) {
  return {hello_message{1, 65535, seeded_nonce(1), {}, some_node(address_size)},
          challenge_message{7, seeded_nonce(2), some_node(address_size), some_mac()}, proof_message{some_mac()},
          ready_message{0xfffefdfc, some_mac()},
          refuse_message{refusal_reason::busy, std::string(address_size < 200 ? address_size : 200, ' ')}};
}

}  // namespace

TEST_CASE("a message that is parsed is the one that was encoded", "[security][handshake]") {
  for (const std::size_t address_size : {std::size_t{0}, std::size_t{13}, std::size_t{255}}) {
    for (const handshake_message& message : some_messages(address_size)) {
      CAPTURE(address_size, message.index());
      const auto bytes = encode(message);
      CHECK(bytes.size() <= longest_handshake_message);
      const auto parsed = parse_handshake_message(bytes);
      REQUIRE(parsed.has_value());
      CHECK(parsed->index() == message.index());
      CHECK(encode(*parsed) == bytes);
    }
  }
  const auto bytes = encode(some_messages(255)[0]);
  const auto parsed = parse_handshake_message(bytes);
  const auto& hello = std::get<hello_message>(*parsed);
  CHECK(hello.highest_version == 65535);
  CHECK(hello.nonce == seeded_nonce(1));
  CHECK(hello.sender == some_node(255));
}

TEST_CASE("a message with a byte too few or too many is malformed", "[security][handshake]") {
  for (const std::size_t address_size : {std::size_t{0}, std::size_t{255}}) {
    for (const handshake_message& message : some_messages(address_size)) {
      auto bytes = encode(message);
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(message.index(), size);
        CHECK(!parse_handshake_message(std::span(bytes).first(size)));
      }
      while (bytes.size() < 1024) {
        bytes.push_back(std::byte{0});
        CHECK(!parse_handshake_message(bytes));
      }
    }
  }
}

TEST_CASE("fields outside their bounds are malformed", "[security][handshake]") {
  const auto malformed = [](message_bytes bytes, std::size_t at, int value) {
    REQUIRE(parse_handshake_message(bytes).has_value());
    bytes.at(at) = static_cast<std::byte>(value);
    return !parse_handshake_message(bytes).has_value();
  };
  const auto hello = encode(hello_message{1, 3, {}, {}, some_node(5)});
  CHECK(malformed(hello, 0, 't'));
  CHECK(malformed(hello, 3, 0));
  CHECK(malformed(hello, 3, 2));
  CHECK(malformed(hello, 3, 6));
  CHECK(malformed(hello, 4, 0));   // version 0
  CHECK(malformed(hello, 4, 4));   // 4 to 3
  CHECK(malformed(hello, 81, 4));  // length of the address
  CHECK(malformed(hello, 81, 6));
  for (const int byte : {0x00, 0x0a, 0x20, 0x7f, 0x80, 0xff})
    CHECK(malformed(hello, 82, byte));
  const auto challenge = encode(challenge_message{1, {}, some_node(5), {}});
  CHECK(malformed(challenge, 4, 0));
  CHECK(malformed(challenge, 64, '\t'));

  const auto refuse = encode(refuse_message{refusal_reason::busy, "a text"});
  CHECK(malformed(refuse, 6, '\n'));
  auto long_text = encode(refuse_message{refusal_reason::busy, std::string(200, 'x')});
  long_text.push_back(std::byte{'x'});
  long_text[5] = std::byte{201};
  CHECK(!parse_handshake_message(long_text));
}

TEST_CASE("reasons have a name and a sentence, unknown codes none of their own", "[security][handshake]") {
  for (unsigned code = 0; code < 256; ++code) {
    const refusal_reason reason = refusal_reason_of(static_cast<std::uint8_t>(code));
    CHECK((reason == refusal_reason::unspecified) == (code == 0 || code > 12));
    CHECK(!to_string(reason).empty());
    CHECK(describe(reason).ends_with('.'));
  }
  CHECK(to_string(refusal_reason::wrong_secret) == "wrong_secret");
  CHECK(to_string(refusal_reason::internal_error) == "internal_error");
  auto refuse = encode(refuse_message{refusal_reason::busy, ""});
  refuse[4] = std::byte{250};
  CHECK(std::get<refuse_message>(*parse_handshake_message(refuse)).reason == refusal_reason::unspecified);
}
