// libFuzzer on what comes over a link: bytes to frames, frames to messages and bulk chunks, messages to actors' letters
// and those to values of the real types. Nothing may crash, read too far or ask for more memory than a message may;
// what is understood is written as bytes that are understood again.
//
// The first byte chooses the parser, the rest goes to it:
//
//   cmake --preset fuzz && ninja -C build/fuzz frame_fuzzer
//   build/fuzz/tests/fuzz/frame_fuzzer -max_total_time=600 -max_len=4096
#include "actors/protocols/request.hpp"
#include "transport/bridge/message_codec.hpp"
#include "transport/bulk_sender.hpp"
#include "transport/frame.hpp"
#include "transport/outbox.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

CAF_BEGIN_TYPE_ID_BLOCK(frame_fuzzer, first_custom_type_id)
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::submit_request))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::assign_request))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::token_chunk))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::request_ended))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::cancel_request))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::request_lost))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::load_report))
CAF_ADD_TYPE_ID(frame_fuzzer, (troupe::scheduler_report))
CAF_END_TYPE_ID_BLOCK(frame_fuzzer)

using namespace troupe;
using namespace troupe::transport;

namespace {

[[noreturn]] void complain(const char* what) {
  std::fprintf(stderr, "frame_fuzzer: %s\n", what);
  std::abort();
}

/// There are no actors here: every handle leads nowhere.
class no_actors final : public handle_codec {
 public:
  void expose(const caf::strong_actor_ptr&) override {}
  caf::strong_actor_ptr resolve(const node_id&, std::uint64_t) override { return nullptr; }
  const node_id& self() const override { return self_; }

 private:
  node_id self_;
};

message_codec make_codec() {
  message_codec codec;
  codec.add<submit_request>("submit_request");
  codec.add<assign_request>("assign_request");
  codec.add<token_chunk>("token_chunk");
  codec.add<request_ended>("request_ended");
  codec.add<cancel_request>("cancel_request");
  codec.add<request_lost>("request_lost");
  codec.add<load_report>("load_report");
  codec.add<scheduler_report>("scheduler_report");
  return codec;
}

void check_message(std::span<const std::byte> bytes) {
  static const message_codec codec = make_codec();
  no_actors handles;
  node_id sender;
  sender.bytes.fill(std::byte{1});
  caf::message message;
  std::string failure;
  if (!codec.decode(bytes, sender, handles, message, failure)) {
    if (failure.empty()) complain("a refusal without a reason");
    return;
  }
  // Written and read again it is the same, byte for byte.
  wire::byte_buffer once, twice;
  if (!codec.encode(message, sender, handles, once)) complain("what was read cannot be written");
  caf::message again;
  if (!codec.decode(once.bytes(), sender, handles, again, failure)) complain(failure.c_str());
  if (!codec.encode(again, sender, handles, twice)) complain("what was read again cannot be written");
  if (!std::ranges::equal(once.bytes(), twice.bytes())) complain("a message changes when it is written and read");
}

void check_letter(std::span<const std::byte> message) {
  constexpr std::size_t head_bytes = 32;
  if (message.size() >= head_bytes) check_message(message.subspan(head_bytes));
}

void check_frame(std::span<const std::byte> bytes) {
  const auto parsed = parse_frame(bytes);
  if (parsed.error != frame_error::none) return;
  if (parsed.payload.size() + frame_header_bytes != bytes.size()) complain("a payload of another size");
  std::vector<std::byte> again(bytes.begin(), bytes.end());
  write_frame_header(again, parsed.header);
  if (!std::ranges::equal(again, bytes)) complain("a header is not written as it was read");
}

void check_chunk(std::span<const std::byte> bytes) {
  const auto chunk = parse_bulk_chunk(bytes);
  if (!chunk) return;
  if (chunk->bytes.empty() || chunk->offset > chunk->part_size ||
      chunk->bytes.size() > chunk->part_size - chunk->offset)
    complain("a chunk reaches past its part");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 5) {
    case 0:
      check_frame(bytes);
      break;
    case 1: {
      // As a frame's payload, under a right checksum.
      std::vector<std::byte> frame(frame_header_bytes);
      frame.insert(frame.end(), bytes.begin(), bytes.end());
      write_frame_header(frame, {});
      check_frame(frame);
      for_each_message(parse_frame(frame).payload, [](auto message) {
        check_letter(message);
        return true;
      });
      break;
    }
    case 2:
      check_chunk(bytes);
      break;
    case 3:
      check_letter(bytes);
      break;
    default:
      check_message(bytes);
  }
  return 0;
}
