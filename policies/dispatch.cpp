#include "policies/dispatch.hpp"

#include <string>
#include <tuple>

namespace troupe::policies {
namespace {

bool has_room(const dispatch_worker& worker) {
  return worker.requests < worker.max_requests;
}

auto load_of(const dispatch_worker& worker) {
  return std::make_tuple(worker.tokens_to_compute, worker.requests, worker.id.value);
}

}  // namespace

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
  const dispatch_worker* best = nullptr;
  for (const auto& worker : workers)
    if (has_room(worker) && (best == nullptr || load_of(worker) < load_of(*best))) best = &worker;
  return best == nullptr ? std::nullopt : std::optional(best->id);
}

result<std::unique_ptr<dispatch_policy>> make_dispatch_policy(std::string_view name) {
  if (name == "round_robin") return std::unique_ptr<dispatch_policy>(std::make_unique<round_robin_dispatch>());
  if (name == "least_loaded") return std::unique_ptr<dispatch_policy>(std::make_unique<least_loaded_dispatch>());
  return make_error(errc::invalid_argument,
                    "unknown dispatch policy '" + std::string(name) + "'; there are: round_robin, least_loaded.",
                    "dispatch");
}

}  // namespace troupe::policies
