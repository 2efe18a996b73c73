#include "transport/security/refusal_reason.hpp"

#include <array>

namespace troupe::transport {
namespace {

struct reason_text {
  std::string_view name;
  std::string_view sentence;
};

// In the order of the codes.
constexpr std::array<reason_text, 13> reasons = {{
    {"unspecified", "The connection was refused without a reason that this version knows."},
    {"wrong_version", "The two nodes share no protocol version; run versions of Troupe that are next to each other."},
    {"wrong_cluster", "The other node belongs to a cluster of another name; both need the same cluster name."},
    {"wrong_secret",
     "The proof of the cluster secret does not verify; both nodes need the same secret file, byte for byte."},
    {"malformed", "The bytes received are no handshake message; only a Troupe node may connect to this port."},
    {"unexpected_message",
     "A handshake message came out of turn; the order is hello, challenge, proof, ready, each once."},
    {"duplicate_connection", "The two nodes are connected already; one connection for each pair of nodes is enough."},
    {"self_connection", "The node was told to connect to itself; give it the address of another node."},
    {"busy", "The node has as many connections or handshakes as it may have; try again later."},
    {"timeout", "The handshake took longer than it may; check the network and the load of both nodes."},
    {"banned", "The node may not join the cluster for now; an operator or the end of its ban can change that."},
    {"shutting_down", "The node is leaving the cluster and takes no new connections; connect to another one."},
    {"internal_error", "The node failed to compute its part of the handshake; its log says why."},
}};

}  // namespace

std::string_view to_string(refusal_reason reason) {
  return reasons[static_cast<std::size_t>(refusal_reason_of(static_cast<std::uint8_t>(reason)))].name;
}

std::string_view describe(refusal_reason reason) {
  return reasons[static_cast<std::size_t>(refusal_reason_of(static_cast<std::uint8_t>(reason)))].sentence;
}

refusal_reason refusal_reason_of(std::uint8_t code) {
  return code < reasons.size() ? static_cast<refusal_reason>(code) : refusal_reason::unspecified;
}

}  // namespace troupe::transport
