#include "frame_player.hpp"

#include "base/random.hpp"
#include "catch.hpp"
#include "transport/frame.hpp"

#include <algorithm>

namespace troupe::test {

using namespace transport;

namespace {

// The mesh has no secret but the well-known one.
mesh_options options_of_target() {
  mesh_options options;
  options.self.bytes.fill(std::byte{1});
  options.fill_random = [random = random_stream(1)](std::span<std::byte> bytes) mutable -> result<> {
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return {};
  };
  return options;
}

}  // namespace

bool scripted_fabric::progress() {
  const bool any = !accepting.empty() || !arriving.empty();
  for (const auto link : std::exchange(accepting, {}))
    listener_->on_accepted(link);
  for (const auto& [link, frame] : std::exchange(arriving, {}))
    listener_->on_frame(link, frame);
  return any;
}

frame_player::frame_player(mesh_listener& listener, bool sealed) : sealed_(sealed) {
  auto made = std::make_unique<scripted_fabric>();
  fabric_ = made.get();
  mesh_ = std::make_unique<transport::mesh>(std::move(made), options_of_target(), listener);
  mesh_->adopt_thread();
}

frame_player::~frame_player() = default;

void frame_player::turn() {
  now_ += std::chrono::microseconds(1);
  mesh_->poll(now_);
}

void frame_player::connect() {
  if (link_.value != 0 && std::ranges::find(fabric_->closed, link_) == fabric_->closed.end()) {
    // The mesh sees a session end in order.
    if (up()) fabric_->arriving.emplace_back(link_, next_frame(frame_type::bye, {}));
    turn();
  }
  fabric_->closed.clear();
  session_.reset();
  link_ = link_id{++n_links_};
  fabric_->accepting.push_back(link_);
  turn();
}

void frame_player::establish() {
  connect();
  handshake_options options;
  options.self.id.fill(std::byte{2});
  options.self.purpose = sealed_ ? link_purpose::sealed : link_purpose::plain;
  options.cluster = "troupe";
  handshake_nonce nonce{};
  nonce[0] = std::byte{1};
  for (std::size_t i = 0; i < 8; ++i)
    nonce[1 + i] = static_cast<std::byte>(n_links_ >> (8 * i));
  auto shaking = handshake::initiate(std::move(options), cluster_secret::none(), nonce);
  REQUIRE(shaking.has_value());
  session_.emplace(link_, *std::move(shaking), true, now_);
  const auto pass = [&](std::span<const std::byte> message) {
    fabric_->sent.clear();
    fabric_->arriving.emplace_back(link_, next_frame(frame_type::handshake, message));
    turn();
    REQUIRE(!fabric_->sent.empty());
    return parse_frame(fabric_->sent.front());
  };
  const auto challenge = pass(session_->shaking().opening());
  const auto proof = session_->shaking().take(challenge.payload).reply;
  const auto ready = pass(proof);
  session_->shaking().take(ready.payload);
  REQUIRE(session_->shaking().established());
  REQUIRE(session_->establish(sealed_).has_value());
}

std::vector<std::byte> frame_player::next_frame(frame_type type, std::span<const std::byte> payload) {
  wire::byte_buffer frame;
  frame.extend(frame_header_bytes);
  frame.append(payload);
  REQUIRE(session_->close_frame(type, frame).has_value());
  return {frame.bytes().begin(), frame.bytes().end()};
}

bool frame_player::deliver(std::span<const std::byte> frame) {
  fabric_->sent.clear();
  fabric_->arriving.emplace_back(link_, std::vector<std::byte>(frame.begin(), frame.end()));
  turn();
  if (fabric_->closed.empty()) return true;
  session_.reset();
  return false;
}

std::uint64_t frame_player::n_refused() const {
  std::uint64_t n = 0;
  for (const auto& [reason, times] : mesh_->counters().refusals())
    n += times;
  return n;
}

}  // namespace troupe::test
