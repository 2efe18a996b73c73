#include "transport/session.hpp"

#include "base/assert.hpp"

#include <utility>

namespace troupe::transport {
namespace {

constexpr std::size_t covered_header_bytes = 24;

}  // namespace

std::optional<node_id> session::node() const {
  if (with) return with->node();
  if (shaking_.peer()) return node_id{shaking_.peer()->id};
  return std::nullopt;
}

result<> session::establish(bool sealed) {
  TROUPE_ASSERT(shaking_.established(), "only a finished handshake makes a session");
  if (sealed) {
    auto sealing = sealer::make(shaking_.keys().sending);
    if (!sealing) return sealing.error();
    auto opening = opener::make(shaking_.keys().receiving);
    if (!opening) return opening.error();
    sealer_ = *std::move(sealing);
    opener_ = *std::move(opening);
  }
  up_ = true;
  return {};
}

result<> session::close_frame(frame_type type, wire::byte_buffer& frame) {
  frame_header header;
  header.type = type;
  if (!up_) {
    write_frame_header(frame.bytes(), header);
    return {};
  }
  header.epoch = shaking_.epoch();
  header.sequence = next_sent_++;
  if (sealer_) {
    header.flags = frame_flags::sealed;
    const std::size_t plain_bytes = frame.size() - frame_header_bytes;
    frame.extend(seal_tag_bytes);
    header.length = static_cast<std::uint32_t>(plain_bytes + seal_tag_bytes);
    write_covered_header(frame.data(), header);
    const auto payload = frame.bytes().subspan(frame_header_bytes);
    const auto sealed =
        sealer_->seal(header.sequence, frame.bytes().first(covered_header_bytes), payload.first(plain_bytes), payload);
    if (!sealed) return sealed.error();
  }
  write_frame_header(frame.bytes(), header);
  return {};
}

result<std::span<const std::byte>> session::open_frame(const parsed_frame& frame, std::span<const std::byte> bytes) {
  const auto refuse = [](const char* why) { return make_error(errc::corrupt, why); };
  const frame_header& header = frame.header;
  if (header.epoch != shaking_.epoch()) return refuse("a frame of another epoch");
  if (header.sequence != next_received_) return refuse("a frame out of sequence");
  if (((header.flags & frame_flags::sealed) != 0) != opener_.has_value())
    return refuse("a frame that is sealed where it should be plain, or plain where it should be sealed");
  if (!opener_) {
    ++next_received_;
    return frame.payload;
  }
  if (frame.payload.size() < seal_tag_bytes) return refuse("a sealed frame without a seal");
  opened_payload_.resize(frame.payload.size() - seal_tag_bytes);
  if (!opener_->open(header.sequence, bytes.first(covered_header_bytes), frame.payload, opened_payload_))
    return refuse("a frame whose seal is broken");
  ++next_received_;
  return std::span<const std::byte>(opened_payload_);
}

}  // namespace troupe::transport
