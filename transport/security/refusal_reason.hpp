// Why a connection between two nodes was refused: one byte on the wire, and all that a node which has proven nothing
// learns. Codes are only ever appended.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::transport {

enum class refusal_reason : std::uint8_t {
  unspecified = 0,           // also what a code reads as that this build does not know
  wrong_version = 1,         // no protocol version that both sides speak
  wrong_cluster = 2,         // another cluster's name
  wrong_secret = 3,          // a proof that does not verify: another secret, or bytes changed on the way
  malformed = 4,             // bytes that are no message of the handshake
  unexpected_message = 5,    // a message that does not belong into this state
  duplicate_connection = 6,  // the two nodes are connected already
  self_connection = 7,       // a node that dials itself
  busy = 8,                  // too many handshakes or connections at once
  timeout = 9,               // the handshake took too long
  banned = 10,               // this node may not join for now
  shutting_down = 11,        // the node is leaving the cluster
  internal_error = 12        // our fault
};

std::string_view to_string(refusal_reason reason);

/// A whole sentence for the operator: what was wrong and what would be right.
std::string_view describe(refusal_reason reason);

/// What a byte of the wire means; unspecified for one that this build does not know.
refusal_reason refusal_reason_of(std::uint8_t code);

}  // namespace troupe::transport
