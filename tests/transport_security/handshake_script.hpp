// Plays a script of bytes to a stage of six handshakes: messages that are genuine, changed, cut, spliced, recorded or
// made up, in any order, to any side. After each one it checks what must hold whatever the script says:
//
//   - a side is established only if some side at the other end, with the same secret, has sent exactly what it received
//     and received exactly what it sent;
//   - two established ends of one conversation have the same keys, epoch and version, and know each other;
//   - no reply is longer than 512 bytes, a refusal before the other side's proof has no text, and refused is for good.
//
// The fuzzer feeds it from libFuzzer, a test from a seed.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace troupe::test {

struct script_report {
  std::string complaint;  // empty: all held
  std::size_t n_delivered = 0;
  std::size_t n_established = 0;
};

script_report play_handshake_script(std::span<const std::byte> script);

}  // namespace troupe::test
