// An operator's connection to a cluster: what `troupe status`, `top`, `drain`, `migrate`, `policy` and `down` speak
// through. No CAF in this header.
#pragma once

#include "actors/cluster_options.hpp"
#include "actors/protocols/membership.hpp"
#include "actors/protocols/request.hpp"
#include "actors/protocols/status.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

struct cluster_overview {
  std::vector<member_info> members;  // nodes; a head that computes itself is none
  std::vector<load_report> workers;  // by worker id; a member's is its number, the head's own 0
  std::uint32_t requests_queued = 0;
  std::vector<request_info> requests;
};

class cluster_client {
 public:
  /// `options.join` names the head. Errors: unavailable (nobody there), unauthenticated (another secret or cluster).
  static result<std::unique_ptr<cluster_client>> connect(const cluster_options& options);
  ~cluster_client();
  cluster_client(const cluster_client&) = delete;
  cluster_client& operator=(const cluster_client&) = delete;

  result<cluster_overview> overview();
  /// Sentences of what was done; errors: not_found (no node of that name).
  result<std::string> drain(const std::string& node);
  /// Moves a running request to a node. Errors: not_found (no such request, no such node).
  result<std::string> migrate(request_id request, const std::string& node);
  result<policies_status> policies();
  /// Another policy from now on. Errors: not_found (no such kind or name, with those there are).
  result<std::string> set_policy(const std::string& kind, const std::string& name);
  /// Ends a node, or the whole cluster when the name is empty.
  result<std::string> stop(const std::string& node);

 private:
  struct implementation;
  explicit cluster_client(std::unique_ptr<implementation> made);
  std::unique_ptr<implementation> implementation_;
};

}  // namespace troupe
