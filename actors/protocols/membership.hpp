// The membership protocol: how a node becomes part of a cluster, stays and leaves.
//
//   node (member actor)                          head (registry actor)
//     |--- join_cluster (+ own handle) ----------->|   after the transport's handshake: the node has the secret
//     |<-- cluster_joined (+ scheduler) -----------|   or join_refused: another version, another model, the name taken
//     |<-- members_changed ------------------------|   to all, at each change: where the others listen
//     |--- leave_cluster ------------------------->|   in order: its worker takes no more, its requests are moved
//     |<-- drain_node -----------------------------|   from an operator: the same
//     |                                            |
//     x  session lost, as the transport tells       x  both sides are told `down` and forget each other
//
// As a node sees itself (member_state), and what each event does (next()):
//
//               found            joined              down, refused for now
//   searching --------> joining --------> serving ----------------------> searching   (workers are stopped: a node
//       ^                  | refused         | leave                                   that lost its head serves no
//       one)
//       +------------------+ for now         v
//                          | for good     leaving --down, done--> gone
//                          v
//                         gone
//
// Idempotency: a node is named by its process (the transport's node id) and by the operator (name). A second
// join_cluster of the same process is answered as the first; the same name from another process is refused while the
// first is a member. Time-outs: the transport's liveness is the lease: whoever is not heard of for `dead_after` is
// lost, on both sides. Failpoints: membership.join, membership.joined, membership.leave.
#pragma once

#include "base/fields.hpp"
#include "base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// What a worker is for. A worker that is for both takes a request from its beginning to its end.
namespace worker_role {
inline constexpr std::uint8_t prefill = 1;
inline constexpr std::uint8_t decode = 2;
inline constexpr std::uint8_t both = prefill | decode;
}  // namespace worker_role

/// "worker", "prefill", "decode", "prefill,decode"; nullopt for anything else.
std::optional<std::uint8_t> parse_roles(std::string_view text);
std::string roles_to_string(std::uint8_t roles);

/// What has to be equal for two nodes to serve one model together.
struct served_content {
  std::string version;           // of Troupe
  std::string model;             // its name, for people
  std::uint64_t digest_low = 0;  // of its content
  std::uint64_t digest_high = 0;
  friend bool operator==(const served_content&, const served_content&) = default;
};
TROUPE_FIELDS(served_content, version, model, digest_low, digest_high)

/// node -> registry, with the handle of its member actor.
struct join_cluster {
  std::string name;  // unique in the cluster; for people and logs
  std::string host;
  std::uint32_t process = 0;
  std::string address;  // where its transport listens; empty: nowhere
  std::uint8_t roles = worker_role::both;
  served_content content;
};
TROUPE_FIELDS(join_cluster, name, host, process, address, roles, content)

/// registry -> node, with the scheduler's handle.
struct cluster_joined {
  std::uint32_t number = 0;  // of this member; never given twice. Its worker's id
};
TROUPE_FIELDS(cluster_joined, number)

/// registry -> node.
struct join_refused {
  std::string reason;     // a sentence
  bool for_good = false;  // trying again cannot help
};
TROUPE_FIELDS(join_refused, reason, for_good)

struct leave_cluster {};
TROUPE_FIELDS(leave_cluster)

/// operator -> registry (by name) -> node (name empty): take no more requests and move those there are.
struct drain_node {
  std::string name;
};
TROUPE_FIELDS(drain_node, name)

/// operator -> registry -> node: end the process. Empty name: the whole cluster, the head last.
struct stop_node {
  std::string name;
};
TROUPE_FIELDS(stop_node, name)

enum class member_condition : std::uint8_t { serving, draining };
constexpr member_condition last_enumerator(member_condition) {
  return member_condition::draining;
}
std::string_view to_string(member_condition condition);

struct member_info {
  std::uint32_t number = 0;
  std::string name;
  std::string host;
  std::uint32_t process = 0;
  std::string address;
  std::vector<std::byte> node;  // the transport's node id
  std::uint8_t roles = worker_role::both;
  member_condition condition = member_condition::serving;
};
TROUPE_FIELDS(member_info, number, name, host, process, address, node, roles, condition)

/// registry -> nodes.
struct members_changed {
  std::vector<member_info> members;  // by number
};
TROUPE_FIELDS(members_changed, members)

/// operator -> registry, answered by cluster_status.
struct ask_status {};
TROUPE_FIELDS(ask_status)

/// Answer to an operator.
struct command_done {
  bool done = false;
  std::string message;  // a sentence: what was done, or why not
};
TROUPE_FIELDS(command_done, done, message)

enum class member_state : std::uint8_t { searching, joining, serving, leaving, gone };
enum class member_event : std::uint8_t { found, joined, refused, refused_for_good, down, leave };

std::string_view to_string(member_state state);
std::string_view to_string(member_event event);

/// The diagram above as a function; nullopt: the event has no meaning in this state, is counted and dropped.
std::optional<member_state> next(member_state state, member_event event);

}  // namespace troupe
