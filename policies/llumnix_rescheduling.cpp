#include "policies/llumnix_rescheduling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

namespace troupe::policies {
namespace {

// M - sum V.
double free_blocks(const dispatch_worker& worker, std::uint32_t headroom) {
  // Whoever was assigned since the report takes blocks at once where nobody waits, and waits behind the first
  // elsewhere.
  const double next = worker.blocks_wanted > 0 ? worker.blocks_wanted : worker.blocks_coming;
  const double usage = worker.blocks_used + next + (worker.requests_urgent > 0 ? headroom : 0);
  return worker.blocks_total - usage;
}

std::uint32_t batch_size(const dispatch_worker& worker) {
  return worker.sequences_running + worker.requests_coming;
}

}  // namespace

double freeness(const dispatch_worker& worker, std::uint32_t headroom) {
  if (worker.draining) return -std::numeric_limits<double>::infinity();
  return free_blocks(worker, headroom) / std::max(batch_size(worker), 1u);
}

std::optional<worker_id> llumnix_dispatch::choose(const dispatch_request& request,
                                                  std::span<const dispatch_worker> workers, std::uint64_t) const {
  const bool urgent = request.priority < 0 && headroom_ > 0;
  return least(workers, [&](const dispatch_worker& w) {
    // Beside other urgent ones as long as their instance is within its load: each instance with one keeps its headroom.
    const bool opens_another = urgent && (w.requests_urgent == 0 || free_blocks(w, headroom_) < 0);
    return std::make_pair(opens_another, -freeness(w, urgent ? 0 : headroom_));
  });
}

std::vector<migration_pair> pair_migrations(std::span<const dispatch_worker> workers,
                                            const rescheduling_settings& settings) {
  using rated = std::pair<double, worker_id>;
  std::vector<rated> sources, targets;
  for (const auto& worker : workers) {
    const double free = freeness(worker, settings.headroom);
    if (free < settings.migrate_below && worker.sequences_running > 0)
      sources.emplace_back(free, worker.id);
    else if (free > settings.migrate_above && has_room(worker))
      targets.emplace_back(-free, worker.id);
  }
  std::ranges::sort(sources);
  std::ranges::sort(targets);
  std::vector<migration_pair> pairs;
  for (std::size_t i = 0; i < std::min(sources.size(), targets.size()); ++i)
    pairs.push_back({sources[i].second, targets[i].second});
  return pairs;
}

std::optional<sequence_id> choose_victim(std::span<const batch_sequence> sequences) {
  const batch_sequence* victim = nullptr;
  const auto rank = [](const batch_sequence& s) { return std::make_tuple(-s.priority, s.n_computed, s.id); };
  for (const auto& s : sequences) {
    const bool decoding = s.admitted && s.n_known - s.n_computed == 1 && s.n_known > s.n_prompt;
    if (!decoding || s.priority < 0) continue;
    if (victim == nullptr || rank(s) < rank(*victim)) victim = &s;
  }
  return victim == nullptr ? std::nullopt : std::optional(victim->id);
}

scaling_decision plan_scaling(std::span<const dispatch_worker> workers, std::uint32_t starting,
                              const scaling_settings& settings, std::uint32_t headroom) {
  double sum = 0, blocks = 0;
  std::uint32_t n = 0, running = 0;
  const dispatch_worker* idlest = nullptr;
  for (const auto& worker : workers) {
    if (worker.draining) continue;
    sum += freeness(worker, headroom);
    blocks += free_blocks(worker, headroom);
    running += batch_size(worker);
    ++n;
    if (worker.pinned) continue;
    if (idlest == nullptr || std::tie(worker.requests, worker.id) < std::tie(idlest->requests, idlest->id))
      idlest = &worker;
  }
  if (n + starting < settings.min_workers) return {scaling_step::up, {}};
  if (n == 0) return {};
  const double mean = sum / n;
  if (mean < settings.scale_up_below && starting == 0 && n < settings.max_workers) return {scaling_step::up, {}};
  if (mean <= settings.scale_down_above || starting > 0 || n <= std::max(settings.min_workers, 1u) || idlest == nullptr)
    return {};
  // With its blocks gone and its requests shared among the others, none may be wanted again at once.
  const double after = (blocks - idlest->blocks_total) / std::max(running, n - 1);
  return after < settings.scale_up_below ? scaling_decision{} : scaling_decision{scaling_step::down, idlest->id};
}

}  // namespace troupe::policies
