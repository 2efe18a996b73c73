// Global order: which worker takes the next request of the scheduler's queue, and which request that is.
// Pure; O(workers).
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace troupe::policies {

/// A worker as the scheduler knows it: its last report, corrected by what was assigned since.
struct dispatch_worker {
  worker_id id;
  std::uint32_t requests = 0;      // assigned and not ended
  std::uint32_t max_requests = 0;  // past this it takes none
  std::uint32_t blocks_used = 0;
  std::uint32_t blocks_total = 0;
  std::uint32_t tokens_to_compute = 0;
};

struct dispatch_request {
  std::uint32_t prompt_tokens = 0;
};

class dispatch_policy {
 public:
  virtual ~dispatch_policy() = default;
  virtual std::string_view name() const = 0;
  /// A worker with room, or nullopt when none has. `turn` counts the decisions made before.
  virtual std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                          std::uint64_t turn) const = 0;
};

/// Each in turn, skipping who has no room.
class round_robin_dispatch final : public dispatch_policy {
 public:
  std::string_view name() const override { return "round_robin"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
};

/// Least prompt tokens still to compute, then fewest requests, then the lowest id.
class least_loaded_dispatch final : public dispatch_policy {
 public:
  std::string_view name() const override { return "least_loaded"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;
};

/// "round_robin" or "least_loaded"; errors list the names there are.
result<std::unique_ptr<dispatch_policy>> make_dispatch_policy(std::string_view name);

}  // namespace troupe::policies
