#include "handshake_pair.hpp"

#include "base/random.hpp"
#include "catch.hpp"

#include <algorithm>

namespace troupe::test {

using namespace troupe::transport;

namespace {

template <std::size_t N>
std::array<std::byte, N> seeded_bytes(std::uint64_t seed) {
  random_stream random(seed);
  std::array<std::byte, N> bytes;
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random.below(256)); });
  return bytes;
}

}  // namespace

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const std::byte byte : bytes) {
    out += digits[std::to_integer<std::size_t>(byte >> 4)];
    out += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return out;
}

message_bytes from_hex(std::string_view hex) {
  message_bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

handshake_nonce seeded_nonce(std::uint64_t seed) {
  return seeded_bytes<32>(seed);
}

cluster_secret seeded_secret(std::uint64_t seed) {
  return *cluster_secret::from(seeded_bytes<32>(0x5ec2e7 + seed));
}

handshake_options options_of_node(unsigned char node) {
  handshake_options options;
  options.self.id.fill(static_cast<std::byte>(0x11 * node));
  options.self.address = "10.0.0." + std::to_string(node) + ":7100";
  options.self.purpose = node;
  options.cluster = "alpha";
  options.highest_version = 3;
  return options;
}

handshake make_initiator(std::uint64_t seed, std::uint64_t secret) {
  return *handshake::initiate(options_of_node(1), seeded_secret(secret), seeded_nonce(2 * seed));
}

handshake make_responder(std::uint64_t seed, std::uint64_t secret) {
  return *handshake::respond(options_of_node(2), seeded_secret(secret), seeded_nonce(2 * seed + 1),
                             static_cast<std::uint32_t>(seed + 7));
}

handshake_pair make_pair(std::uint64_t seed) {
  return {make_initiator(seed), make_responder(seed)};
}

recording run_to_end(handshake_pair& pair) {
  recording record;
  const auto opening = pair.initiator.opening();
  record.messages[hello].assign(opening.begin(), opening.end());
  record.messages[challenge] = pair.responder.take(record.messages[hello]).reply;
  record.messages[proof] = pair.initiator.take(record.messages[challenge]).reply;
  record.messages[ready] = pair.responder.take(record.messages[proof]).reply;
  const auto last = pair.initiator.take(record.messages[ready]);
  REQUIRE(last.reply.empty());
  REQUIRE(pair.initiator.established());
  REQUIRE(pair.responder.established());
  return record;
}

}  // namespace troupe::test
