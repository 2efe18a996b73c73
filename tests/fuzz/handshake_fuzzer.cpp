// libFuzzer on the handshake between nodes, statefully: the input is a script of messages, genuine, changed and made
// up, in any order, to three initiators and three responders (tests/transport_security/handshake_script.hpp). Nothing
// may crash, and no side may be established unless both proofs were right. The bytes of an input that starts with "TRH"
// go to the parser as well. It needs no corpus:
//
//   cmake --preset fuzz && ninja -C build/fuzz handshake_fuzzer
//   build/fuzz/tests/fuzz/handshake_fuzzer -max_total_time=600 -max_len=1024
#include "transport/security/handshake_messages.hpp"
#include "transport_security/handshake_script.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

using namespace troupe::transport;

namespace {

[[noreturn]] void complain(const char* what) {
  std::fprintf(stderr, "handshake_fuzzer: %s\n", what);
  std::abort();
}

void check_parser(std::span<const std::byte> bytes) {
  const auto parsed = security::parse_handshake_message(bytes);
  if (!parsed) return;
  // Every byte is a field's: what was read is written as the same bytes, but for a reason that this build does not
  // know.
  auto again = security::encode(*parsed);
  if (std::holds_alternative<security::refuse_message>(*parsed)) again[4] = bytes[4];
  if (!std::ranges::equal(again, bytes)) complain("a message is not written as it was read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check_parser(bytes);
  const auto report = troupe::test::play_handshake_script(bytes);
  if (!report.complaint.empty()) complain(report.complaint.c_str());
  return 0;
}
