#include "policies/batching.hpp"

#include "base/join.hpp"
#include "policies/jitserve_goodput.hpp"
#include "policies/local_order.hpp"

#include <array>
#include <string>

namespace troupe::policies {
namespace {

constexpr std::array<std::string_view, 7> names{"fcfs", "prefill_first", "sjf", "edf", "urgency", "las", "jitserve"};

template <class Policy, class... Arguments>
std::unique_ptr<batching_policy> make(Arguments&&... arguments) {
  return std::make_unique<Policy>(std::forward<Arguments>(arguments)...);
}

}  // namespace

std::span<const std::string_view> batching_policy_names() {
  return names;
}

result<std::unique_ptr<batching_policy>> make_batching_policy(std::string_view name,
                                                              const batching_settings& settings) {
  if (name == "fcfs") return make<fcfs_batching>();
  if (name == "prefill_first") return make<prefill_first_batching>();
  if (name == "sjf") return make<sjf_batching>();
  if (name == "edf") return make<edf_batching>();
  if (name == "urgency") return make<urgency_batching>();
  if (name == "las") return make<las_batching>();
  if (name == "jitserve") return make<jitserve_batching>(settings.jitserve);
  return make_error(errc::invalid_argument,
                    "unknown batching policy '" + std::string(name) + "'; there are: " + join(names) + ".",
                    "scheduler");
}

}  // namespace troupe::policies
