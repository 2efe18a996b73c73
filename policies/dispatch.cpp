#include "policies/dispatch.hpp"

#include "base/join.hpp"
#include "policies/hexgen_text2sql.hpp"
#include "policies/llumnix_rescheduling.hpp"
#include "policies/prefix_aware.hpp"

#include <string>
#include <tuple>

namespace troupe::policies {

std::optional<worker_id> round_robin_dispatch::choose(const dispatch_request&, std::span<const dispatch_worker> workers,
                                                      std::uint64_t turn) const {
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const auto& worker = workers[(turn + i) % workers.size()];
    if (has_room(worker)) return worker.id;
  }
  return std::nullopt;
}

std::optional<worker_id> least_loaded_dispatch::choose(const dispatch_request&,
                                                       std::span<const dispatch_worker> workers, std::uint64_t) const {
  return least(workers, [](const dispatch_worker& w) { return std::make_tuple(w.tokens_to_compute, w.requests); });
}

std::optional<worker_id> least_memory_dispatch::choose(const dispatch_request&,
                                                       std::span<const dispatch_worker> workers, std::uint64_t) const {
  return least(workers, [](const dispatch_worker& w) {
    const double asked = static_cast<double>(w.blocks_used + w.blocks_queued + w.blocks_coming);
    return w.blocks_total == 0 ? asked : asked / w.blocks_total;
  });
}

std::vector<std::string> dispatch_policy_names() {
  return {"round_robin", "least_loaded", "least_memory", "prefix_aware", "llumnix", "hexgen_text2sql"};
}

result<std::unique_ptr<dispatch_policy>> make_dispatch_policy(std::string_view name,
                                                              const dispatch_settings& settings) {
  using made = std::unique_ptr<dispatch_policy>;
  if (name == "round_robin") return made(std::make_unique<round_robin_dispatch>());
  if (name == "least_loaded") return made(std::make_unique<least_loaded_dispatch>());
  if (name == "least_memory") return made(std::make_unique<least_memory_dispatch>());
  if (name == "prefix_aware") return made(std::make_unique<prefix_aware_dispatch>(settings.balance_factor));
  if (name == "llumnix") return made(std::make_unique<llumnix_dispatch>(settings.headroom));
  if (name == "hexgen_text2sql")
    return made(std::make_unique<hexgen_dispatch>(hexgen_settings{settings.alpha, settings.cumulative_work}));
  return make_error(
      errc::invalid_argument,
      "unknown dispatch policy '" + std::string(name) + "'; there are: " + join(dispatch_policy_names()) + ".",
      "dispatch");
}

}  // namespace troupe::policies
