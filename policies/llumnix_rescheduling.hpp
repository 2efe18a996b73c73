// Llumnix (Sun et al., OSDI 2024): a request's virtual usage of memory, and from it an instance's freeness, as the one
// measure for dispatch, load balance, de-fragmentation, priority isolation and scaling.
//
//   virtual usage V   of the first that waits: what it asks for; of others that wait: 0; of running ones: their blocks,
//                     urgent ones together with `headroom` blocks; of a draining instance: infinite
//   freeness F        (M - sum V) / B, M: the instance's blocks, B: its running requests. Decode steps it can go on for
//                     before memory runs out, times blocks a step
//
// Rescheduling pairs the instances of lowest freeness (below `migrate_below`) with those of highest (above); each
// source gives one request away at a time. Scaling keeps the mean freeness within a band. Pure; O(workers log workers).
#pragma once

#include "base/clock.hpp"
#include "policies/batching.hpp"
#include "policies/dispatch.hpp"

#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace troupe::policies {

/// -infinity for a draining instance.
double freeness(const dispatch_worker& worker, std::uint32_t headroom);

/// To the highest freeness; with headroom, urgent requests beside other urgent ones first. (In the artifact they go to
/// the highest freeness too, and soon every instance has one and keeps its headroom for it: that helps nobody.)
class llumnix_dispatch final : public dispatch_policy {
 public:
  explicit llumnix_dispatch(std::uint32_t headroom) : headroom_(headroom) {}
  std::string_view name() const override { return "llumnix"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;

 private:
  std::uint32_t headroom_;
};

struct rescheduling_settings {
  double migrate_below = 3;  // F of sources; the artifact has 3, and 10 for longer requests
  double migrate_above = 3;  // F of destinations
  std::uint32_t headroom = 0;
};

struct migration_pair {
  worker_id from;
  worker_id to;
  friend bool operator==(const migration_pair&, const migration_pair&) = default;
};

/// Lowest with highest. A worker is in one pair at most; draining ones are sources as long as they have requests.
std::vector<migration_pair> pair_migrations(std::span<const dispatch_worker> workers,
                                            const rescheduling_settings& settings);

/// Which running sequence of the source leaves: a decoding one, of the last priority, with the least K and V to copy.
/// nullopt: none may.
std::optional<sequence_id> choose_victim(std::span<const batch_sequence> sequences);

struct scaling_settings {
  std::uint32_t min_workers = 1;
  std::uint32_t max_workers = 1;
  double scale_up_below = 10;    // mean F
  double scale_down_above = 60;  // mean F
};

enum class scaling_step : std::uint8_t { stay, up, down };

struct scaling_decision {
  scaling_step step = scaling_step::stay;
  worker_id drain{};  // with down: the one with fewest requests
};

/// `starting`: workers that were asked for and are not there yet; they count. The last worker stays, and so does one
/// without which another would be wanted at once.
scaling_decision plan_scaling(std::span<const dispatch_worker> workers, std::uint32_t starting,
                              const scaling_settings& settings, std::uint32_t headroom);

}  // namespace troupe::policies
